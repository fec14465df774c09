import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;

/** What programs do through JDBC, one line for what each step gave; notices of reviews go out as they come. */
public class Flows {
  static Connection connect(String mode) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("preferQueryMode", mode);
    properties.setProperty("prepareThreshold", "2");
    properties.setProperty("binaryTransfer", "true");
    return DriverManager.getConnection(System.getenv("JDBC_URL"), properties);
  }

  static void say(String step, Object result) {
    System.out.println(step + "\t" + String.valueOf(result).replace("\n", "|"));
    System.out.flush();
  }

  /** Tells a review as soon as the driver has its notice: the statement waits in the thread that called. */
  static Thread watch(Statement statement) {
    Thread thread = new Thread(() -> {
      try {
        while (true) {
          SQLWarning warning = statement.getWarnings();
          if (warning != null) {
            say("notice", warning.getMessage());
            return;
          }
          Thread.sleep(20);
        }
      } catch (Exception error) {
        say("watch", error);
      }
    });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  public static void main(String[] arguments) throws Exception {
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
      try (Connection connection = connect(mode)) {
        try (PreparedStatement select = connection.prepareStatement(
            "select id, email, born, amount, tags, doc, body from people where id = ?")) {
          for (int id = 1; id <= 4; id++) {
            select.setInt(1, id);
            try (ResultSet rows = select.executeQuery()) {
              rows.next();
              say(mode + " row " + id, rows.getInt(1) + " " + rows.getString(2) + " " + rows.getDate(3) + " "
                  + rows.getBigDecimal(4) + " " + Arrays.toString((Object[]) rows.getArray(5).getArray()) + " "
                  + rows.getString(6) + " " + new String(rows.getBytes(7)));
            }
          }
        }
        connection.setAutoCommit(false);
        try (Statement cursor = connection.createStatement()) {
          cursor.setFetchSize(7);
          long seen = 0;
          try (ResultSet rows = cursor.executeQuery("select email from people order by id")) {
            while (rows.next()) if (rows.getString(1).contains("@customers.example")) throw new Error("leaked");
              else seen++;
          }
          say(mode + " cursor", seen);
        }
        try (PreparedStatement batch = connection.prepareStatement("insert into notes values (?, ?)")) {
          for (int id = 1; id <= 20; id++) {
            batch.setInt(1, id);
            batch.setString(2, "note " + id);
            batch.addBatch();
          }
          say(mode + " batch", Arrays.stream(batch.executeBatch()).sum());
        }
        try (PreparedStatement held = connection.prepareStatement("delete from notes where id <= ?")) {
          watch(held);
          held.setInt(1, 5);
          say(mode + " approved", held.executeUpdate());
        }
        Savepoint before = connection.setSavepoint();
        try (PreparedStatement held = connection.prepareStatement("delete from notes where id > ?")) {
          watch(held);
          held.setInt(1, 0);
          say(mode + " rejected", held.executeUpdate());
        } catch (SQLException error) {
          say(mode + " rejected", error.getSQLState());
          connection.rollback(before);
        }
        try (Statement statement = connection.createStatement();
             ResultSet rows = statement.executeQuery("select count(*) from notes")) {
          rows.next();
          say(mode + " left", rows.getInt(1));
        }
        connection.rollback();
        StringWriter out = new StringWriter();
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        copy.copyIn("copy notes from stdin", new StringReader("900\tcopied\n901\tbonnie@customers.example\n"));
        copy.copyOut("copy (select body from notes where id >= 900 order by id) to stdout", out);
        say(mode + " copy", out.toString().trim());
        connection.rollback();
      }
    }
  }
}
