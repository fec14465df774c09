/** No secret where a secret must not be: what was printed, the arguments of processes, anything the relay wrote. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, startStage } from '../support/relay.ts';
import { passwordOf } from '../support/postgres.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage({ config: { logging: { level: 'debug' } } });
after(() => stage?.close());

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(directory, name))
    .filter((file) => statSync(file).isFile());
}

const marker = 'a-value-of-a-customer-7f3a';

test(
  'no password, token or customer’s value in logs, arguments or evidence of others',
  { skip },
  async () => {
    const { ana, lea, mallory, installation, postgres, connect, directory } = stage!;
    const connected = await connect();
    const psql = path.join(postgres.binDir, 'psql');
    await run(psql, ['-X', '-c', `SELECT '${marker}'`], { env: connected.env });
    await run(psql, ['-X', '-c', `SELECT '${marker}' FROM nowhere`], { env: connected.env });
    await run(psql, ['-X', '-d', 'nowhere', '-c', 'SELECT 1'], { env: connected.env });
    await lea.login(installation.url);
    const commandLines = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
    const passwords = [passwordOf('app'), ana.password, lea.password, mallory.password];
    for (const password of passwords)
      assert.ok(!commandLines.some((line) => line.includes(password)), 'a password is in an argument');

    const printed = installation.relay.output + connected.running.output;
    for (const secret of [...passwords, marker]) assert.ok(!printed.includes(secret), `printed: ${secret}`);
    assert.doesNotMatch(printed, /eyJ[\w-]{10,}\.[\w-]{10,}/, 'a token was logged');

    await connected.running.stop('SIGINT');
    await installation.stop();
    const configured = path.join(directory, 'db.password');
    for (const file of filesBelow(directory)) {
      const text = readFileSync(file, 'latin1');
      for (const password of passwords)
        assert.ok(file === configured || !text.includes(password), `${file} holds a password`);
      // A lock holds nothing, and lies in a directory that nobody else can enter.
      const isSecret = /key|secret|credential|token|password|\.db/.test(path.basename(file));
      if (!isSecret || file.endsWith('.lock')) continue;
      assert.equal(statSync(file).mode & 0o077, 0, `${file} is open`);
    }
  },
);
