/**
 * A real PostgreSQL for one test file: `const server = await startPostgres(); after(() => server.stop())`.
 *
 * Every server is a copy of one template (made once a machine and version, in the temporary directory), so that a
 * start takes a fraction of a second. In it: superuser `postgres`; `app`, owner of the database `app`; `app_md5`,
 * `app_password` (asked for a cleartext password) and `app_cert` (TLS client certificate), all in `app`; the password
 * of each is `passwordOf(user)`. With `{tls: true}` the server's certificate names localhost and 127.0.0.1.
 */
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  findPostgres,
  initCluster,
  serverDirectory,
  startCluster,
  unprivileged,
  type Cluster,
} from '../../src/cli/demo/cluster.ts';
import { makeAuthority } from './certificates.ts';

const run = promisify(execFile);

// A test file that is told to end runs its exit handlers first: they end servers and remove directories.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));

/** For `test(…, {skip: postgresMissing})`: false, or why there can be no server. */
export const postgresMissing: string | false =
  findPostgres() === null ? 'PostgreSQL is not installed (postgresql, from the distribution)' : false;

/** Distinctive, so that a test can look for it where no password may be. */
export const passwordOf = (user: string): string => `pw-of-${user}-6ae1c0`;

export interface PostgresOptions {
  readonly tls?: boolean;
  /** Server settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines for pg_hba.conf before the built-in ones. */
  readonly hba?: readonly string[];
}

export interface PostgresServer {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly pid: number;
  /** Holds psql, pg_dump, pgbench … of the server's own version. */
  readonly binDir: string;
  /** The authority of the server's certificate (there even without `tls`). */
  readonly caFile: string;
  /** Certificate of the user `app_cert`. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly dataDir: string;
  log(): string;
  /** PG* variables for a client program, on top of PATH and HOME only. */
  env(user?: string, database?: string): NodeJS.ProcessEnv;
  url(user?: string, database?: string): string;
  /** Runs SQL as the superuser by psql in `database`; returns unaligned rows (`|` between columns). */
  sql(text: string, database?: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const binDir = findPostgres();
  if (binDir === null) throw new Error(postgresMissing || 'no PostgreSQL');
  const source = await template(binDir);
  const home = temporary('hoop-postgres-');
  const dataDir = path.join(home, 'data');
  const remove = () => rmSync(home, { recursive: true, force: true });
  process.once('exit', remove);
  await run('cp', ['-a', '--reflink=auto', `${source}/.`, home]);
  if (options.hba !== undefined) {
    const file = path.join(dataDir, 'pg_hba.conf');
    writeFileSync(file, [...options.hba, readFileSync(file, 'utf8')].join('\n'));
  }
  const tls: Record<string, string> = options.tls
    ? {
        ssl: 'on',
        ssl_cert_file: path.join(home, 'tls/server.pem'),
        ssl_key_file: path.join(home, 'tls/server.key'),
        ssl_ca_file: path.join(home, 'tls/ca.pem'),
      }
    : {};
  const cluster = await startCluster(binDir, dataDir, { ...tls, ...options.settings });
  const env = (user = 'app', database = 'app') => clientEnvironment(String(cluster.port), user, database);
  return {
    ...serverOf(cluster, binDir, home),
    env,
    url: (user = 'app', database = 'app') =>
      `postgres://${user}:${passwordOf(user)}@127.0.0.1:${cluster.port}/${database}`,
    sql: (text, database = 'app') => psql(binDir, env('postgres', database), text),
    stop: async () => {
      await cluster.stop();
      process.off('exit', remove);
      remove();
    },
  };
}

function serverOf(cluster: Cluster, binDir: string, home: string) {
  return {
    host: '127.0.0.1',
    port: cluster.port,
    pid: cluster.pid,
    binDir,
    dataDir: path.join(home, 'data'),
    caFile: path.join(home, 'tls/ca.pem'),
    clientCertFile: path.join(home, 'tls/app_cert.pem'),
    clientKeyFile: path.join(home, 'tls/app_cert.key'),
    log: cluster.log,
  } as const;
}

function clientEnvironment(port: string, user: string, database: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PGHOST: '127.0.0.1',
    PGPORT: port,
    PGUSER: user,
    PGPASSWORD: passwordOf(user),
    PGDATABASE: database,
  };
}

async function psql(binDir: string, env: NodeJS.ProcessEnv, text: string): Promise<string> {
  const flags = ['-XAtq', '-v', 'ON_ERROR_STOP=1'];
  const child = run(path.join(binDir, 'psql'), flags, { env, maxBuffer: 1 << 28 });
  child.child.stdin?.end(text);
  return (await child).stdout.trimEnd();
}

/** A directory that the server's user owns; the path is short because a Unix socket's name must fit into it. */
function temporary(prefix: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), prefix));
  serverDirectory(directory);
  chmodSync(directory, 0o700);
  return directory;
}

/**
 * The template's directory. Two that make it at once both succeed, and the first to rename wins. One that belongs to
 * another user is not trusted.
 */
async function template(binDir: string): Promise<string> {
  const { stdout } = await run(path.join(binDir, 'postgres'), ['--version']);
  const version = /\d+(\.\d+)*/.exec(stdout)?.[0] ?? 'unknown';
  const owner = unprivileged()?.uid ?? process.getuid?.() ?? 0;
  const final = path.join(tmpdir(), `hoop-test-postgres-${version}-${owner}-v2`);
  if (existsSync(final) && statSync(final).uid === owner && age(`${final}/made`) < 20 * 86_400_000)
    return final;
  rmSync(final, { recursive: true, force: true }); // its certificates would soon expire
  const made = temporary('hoop-postgres-template-');
  await fill(binDir, made);
  try {
    renameSync(made, final);
  } catch {
    rmSync(made, { recursive: true, force: true });
  }
  return final;
}

const roles = `
  CREATE ROLE app LOGIN PASSWORD '${passwordOf('app')}';
  CREATE ROLE app_password LOGIN PASSWORD '${passwordOf('app_password')}';
  CREATE ROLE app_cert LOGIN PASSWORD '${passwordOf('app_cert')}';
  SET password_encryption = 'md5';
  CREATE ROLE app_md5 LOGIN PASSWORD '${passwordOf('app_md5')}';
  CREATE DATABASE app OWNER app;
  GRANT ALL ON DATABASE app TO app_password, app_cert, app_md5;
`;

const hba = `
local   all app_password            password
host    all app_password 127.0.0.1/32 password
host    all app_md5      127.0.0.1/32 md5
hostssl all app_cert     127.0.0.1/32 cert
local   all all                     scram-sha-256
host    all all          127.0.0.1/32 scram-sha-256
`;

async function fill(binDir: string, home: string): Promise<void> {
  const dataDir = path.join(home, 'data');
  await initCluster(binDir, dataDir, passwordOf('postgres'));
  rmSync(`${dataDir}.password`, { force: true });
  writeFileSync(path.join(dataDir, 'pg_hba.conf'), hba);
  appendFileSync(path.join(dataDir, 'postgresql.conf'), "shared_buffers = '32MB'\nmax_connections = 250\n");
  const cluster = await startCluster(binDir, dataDir);
  try {
    await psql(binDir, clientEnvironment(String(cluster.port), 'postgres', 'postgres'), roles);
    const public_ = 'GRANT ALL ON SCHEMA public TO PUBLIC';
    await psql(binDir, clientEnvironment(String(cluster.port), 'postgres', 'app'), public_);
  } finally {
    await cluster.stop();
  }
  const authority = await makeAuthority(path.join(home, 'tls'));
  await authority.issue('server', ['localhost', '127.0.0.1']);
  await authority.issue('app_cert');
  writeFileSync(path.join(home, 'made'), '');
  const owner = unprivileged();
  if (owner !== undefined) await run('chown', ['-R', `${owner.uid}:${owner.gid}`, home]);
}

const age = (file: string): number => Date.now() - statSync(file).mtimeMs;
