import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import path from 'node:path';
import { postgresMissing, startPostgres } from './postgres.ts';

const run = promisify(execFile);

test(
  'a private server answers over TLS to each way of authentication',
  { skip: postgresMissing },
  async () => {
    const server = await startPostgres({ tls: true, settings: { max_connections: '20' } });
    after(() => server.stop());
    assert.equal(await server.sql('SHOW max_connections'), '20');
    for (const user of ['app', 'app_md5', 'app_password', 'app_cert']) {
      const { stdout } = await run(
        path.join(server.binDir, 'psql'),
        ['-XAtc', 'SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'],
        {
          env: {
            ...server.env(user),
            PGSSLMODE: 'verify-full',
            PGSSLROOTCERT: server.caFile,
            ...(user === 'app_cert'
              ? { PGSSLCERT: server.clientCertFile, PGSSLKEY: server.clientKeyFile }
              : {}),
          },
        },
      );
      assert.equal(stdout.trim(), `${user}|t`);
    }
    assert.match(server.log(), /ready to accept connections/);
    await server.stop();
    await assert.rejects(server.sql('SELECT 1'));
  },
);
