/** Tokens and keys stay in the processes that use them: not in arguments, environments, output, debug output or crashes. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { confirmDevice } from '../../src/cli/demo/browser.ts';
import { FileKeychain } from '../../src/system/keychain-file.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, startStage } from '../support/relay.ts';

const noProc = existsSync('/proc/self/environ') ? false : 'this system has no /proc';
const skip = missing('postgresql') || noProc;
const stage = skip ? null : await startStage({ config: { logging: { level: 'debug' } } });
after(() => stage?.close());

/** Arguments and environments of every process that is somebody's of this stage. */
function processes(directory: string): { commandLine: string; environment: string }[] {
  const found = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const read = (file: string): string =>
        readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', '\n');
      const each = { commandLine: read('cmdline'), environment: read('environ') };
      if (each.environment.includes(directory)) found.push(each);
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  return found;
}

test('tokens and keys are nowhere but in the credential store', { skip, timeout: 180_000 }, async () => {
  const { ana, installation, directory, postgres } = stage!;
  const config = path.join(directory, 'ana', 'config', 'hoop');
  const secrets = new Set([ana.password]);
  const learn = async (): Promise<void> => {
    const kept = await new FileKeychain(config, () => undefined).getPassword('hoop', installation.url);
    const { accessToken, refreshToken, key } = JSON.parse(kept!);
    for (const secret of [accessToken, refreshToken, key.d]) secrets.add(secret);
  };
  const outputs: string[] = [];
  const seen: ReturnType<typeof processes> = [];
  const look = (atLeast: number): void => {
    const now = processes(directory);
    assert.ok(now.length >= atLeast, `${now.length} processes`);
    seen.push(...now);
  };

  await learn();
  // A sign-in while it waits, and when it is done.
  const login = ana.start('login', '--no-browser');
  const [, uri, userCode] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  look(2);
  await confirmDevice(uri!, { email: ana.email, password: ana.password, userCode: userCode! });
  assert.equal(await login.ended, 0);
  outputs.push(login.output);
  await learn();

  const detached = await ana.hoop('connect', 'db', '--detach', '--json');
  assert.equal(detached.code, 0, detached.stderr);
  const sleeping = ana.start('exec', 'db', '--', 'select pg_sleep(600)');
  await eventually('it runs at the database', async () => {
    return (await postgres.sql("select 1 from pg_stat_activity where query like 'select pg_sleep%'")) !== '';
  });
  look(3);
  const client = await ana.hoop('connect', 'db', '--', 'env');
  assert.match(client.stdout, /^HOOP_SESSION=/m);
  outputs.push(detached.output, client.output);

  // Programs that crash, in the midst of their work.
  const connected = await stage!.connect();
  assert.notEqual(await connected.running.stop('SIGABRT'), 0);
  assert.notEqual(await sleeping.stop('SIGABRT'), 0);
  outputs.push(connected.running.output, sleeping.output);

  // Failures with everything that debugging shows: refused, ended, unreachable.
  const debugging = { ...ana.env, HOOP_DEBUG: '1' };
  const fails = async (...args: string[]): Promise<void> => {
    const failed = await hoop(args, { env: debugging });
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /^ +at /m);
    outputs.push(failed.output);
  };
  await fails('connect', 'nowhere');
  await fails('sessions', 'kill', '01JD4Q3M9RAN8C8A2Z4H5W6X7Y');
  const admin = ['--config', installation.configFile];
  assert.equal(
    (await hoop(['admin', 'logins', 'end', '--of', ana.email, ...admin], { env: installation.env })).code,
    0,
  );
  await fails('whoami');
  await ana.login(installation.url);
  await learn();
  const relay = installation.relay;
  assert.notEqual(await relay.stop('SIGABRT'), 0);
  outputs.push(relay.output);
  await fails('whoami');
  const out = await hoop(['logout'], { env: debugging });
  assert.equal(out.code, 0);
  outputs.push(out.output, readFileSync(path.join(directory, 'ana', 'runtime', 'hoop', 'agent.log'), 'utf8'));

  assert.ok(secrets.size >= 7);
  for (const { commandLine, environment } of seen)
    for (const secret of secrets) {
      assert.ok(!commandLine.includes(secret), `in the arguments of ${commandLine.slice(0, 60)}`);
      assert.ok(!environment.includes(secret), `in the environment of ${commandLine.slice(0, 60)}`);
    }
  for (const output of outputs) {
    for (const secret of secrets) assert.ok(!output.includes(secret), output);
    assert.doesNotMatch(output, /eyJ[\w-]{10,}\.[\w-]{10,}/);
  }
  for (const place of [config, path.join(directory, 'ana', 'runtime', 'hoop')])
    for (const name of readdirSync(place)) {
      const file = path.join(place, name);
      if (!statSync(file).isFile()) continue;
      const text = readFileSync(file, 'latin1');
      for (const secret of secrets) assert.ok(!text.includes(secret), file);
      // A lock holds nothing, and lies where nobody else can enter.
      if (!name.endsWith('.lock')) assert.equal(statSync(file).mode & 0o077, 0, file);
    }
});
