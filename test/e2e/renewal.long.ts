/**
 * A port and the sign-in behind it, for minutes: access tokens of one minute are renewed under an open psql; the identity
 * provider (another relay's) is away for longer than a token lives, the relay restarts, and the port is there all the time.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { FileKeychain } from '../../src/system/keychain-file.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { passwordOf, startPostgres } from '../support/postgres.ts';
import { run, Running } from '../support/relay.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { stopAll } from '../../src/cli/demo/hoop.ts';

const skip = missing('postgresql');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-renewal-'));
const postgres = skip ? null : await startPostgres();
after(async () => {
  await stopAll();
  await postgres?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const policy = 'permit (principal in Group::"engineering", action, resource);';

test(
  'an open psql lives through renewals; the port through a provider and a relay that go away',
  { skip },
  async () => {
    const issuer = await Installation.create({
      directory: path.join(directory, 'issuer'),
      targets: {},
      policy: '',
    });
    const there = await issuer.addPerson('ana', 'ana@example.com', ['engineering']);
    await issuer.start();
    const relay = await Installation.create({
      directory: path.join(directory, 'relay'),
      targets: {
        db: {
          host: '127.0.0.1',
          port: postgres!.port,
          database: 'app',
          user: 'app',
          password: passwordOf('app'),
        },
      },
      policy,
      config: {
        identity: {
          issuer: `${issuer.url}/idp`,
          clientId: 'hoop-cli',
          scopes: ['openid', 'email', 'groups'],
        },
        tokens: { lifetime: '1m' },
      },
    });
    await relay.start();
    const home = path.join(directory, 'ana');
    const ana = new Person(there.email, there.password, home, relay);
    await ana.login(relay.url);
    const token = async (): Promise<string> => {
      const keychain = new FileKeychain(path.join(home, 'config', 'hoop'), () => undefined);
      return JSON.parse((await keychain.getPassword('hoop', relay.url))!).accessToken;
    };
    const renewed = async (from: string): Promise<string> =>
      eventually('the token is renewed', async () => ((await token()) === from ? null : token()), 120_000);

    const port = ana.start('connect', 'db');
    const [, number] = await port.says(/port=(\d+)/);
    const env = {
      PATH: ana.env['PATH'],
      HOME: home,
      PGHOST: '127.0.0.1',
      PGPORT: number,
      PGUSER: 'ana',
      PGDATABASE: 'app',
    };
    const psqlFile = path.join(postgres!.binDir, 'psql');
    const psql = new Running(psqlFile, ['-XAt'], env, 'pipe');
    const ask = async (what: string): Promise<void> => {
      psql.child.stdin!.write(`select 'answer ${what}';\n`);
      await psql.says(new RegExp(`^answer ${what}$`, 'm'));
    };
    const works = async (): Promise<boolean> =>
      (await run(psqlFile, ['-XAtc', 'select 1'], { env })).code === 0;

    await ask('at first');
    let last = await token();
    for (const count of ['first', 'second', 'third']) {
      last = await renewed(last);
      await ask(`after the ${count} renewal`);
    }
    assert.equal(port.stderr, '', 'nothing was lost, and nobody was told of anything');

    // The provider goes away, for longer than a token lives: the session ends, the port does not.
    await issuer.stop();
    await port.says(/your access was withdrawn or your sign-in ran out; reconnecting/);
    assert.equal(await works(), false);
    await issuer.start();
    await eventually('the port works again', works, 120_000);
    last = await token();

    await relay.stop();
    assert.equal(await works(), false);
    await relay.start();
    await eventually('the port works again', works, 120_000);
    await renewed(last);
    assert.equal(await works(), true);
    psql.child.stdin!.end();
    assert.equal(await port.stop('SIGINT'), 0);
  },
);
