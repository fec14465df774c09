/** Programs and agents through the real binary: no person, no browser, no keychain, nothing secret where it must not be. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { environmentOf } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { MachineIssuer } from '../support/machine-issuer.ts';
import { missing } from '../support/programs.ts';
import { hoop, run, Running, startStage } from '../support/relay.ts';

const policy = `
@id("people") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("jobs") permit (principal in Group::"jobs", action in [Action::"connect", Action::"execute"], resource);
@id("assistants") permit (principal is Agent in Group::"assistants", action in [Action::"connect", Action::"execute"], resource)
when { principal has actsFor && principal.actsFor in Group::"engineering" };
@id("no-deletes") @review("engineering") forbid (principal, action == Action::"execute", resource)
when { context.effects.contains("delete") };
@id("review") permit (principal in Group::"engineering", action == Action::"review", resource);
@id("delegate") permit (principal in Group::"engineering", action == Action::"delegate", resource in Group::"assistants");
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill"], resource);
`;
const skip = missing('postgresql');
const issuer = skip ? null : await MachineIssuer.start();
const audience = 'https://relay.example.com';
const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        logging: { level: 'debug' },
        identity: {
          machines: [
            {
              name: 'deploy',
              issuer: issuer!.url,
              audience,
              subject: 'repo:acme/shop:ref:refs/heads/*',
              groups: ['jobs'],
            },
          ],
        },
      },
    });
after(async () => {
  await stage?.close();
  await issuer?.close();
});

const secrets: string[] = [];
const kept = (secret: string): string => {
  secrets.push(secret);
  return secret;
};

/** A computer of its own for each program. */
function machine(name: string, variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const home = path.join(stage!.directory, name);
  mkdirSync(home, { recursive: true });
  const { installation, postgres } = stage!;
  const base = environmentOf(home);
  return { ...base, PATH: `${postgres.binDir}:${base['PATH']}`, HOOP_RELAY: installation.url, ...variables };
}
const sql = 'select 40 + 2';
const psql = (env: NodeJS.ProcessEnv, text = sql) =>
  hoop(['connect', 'db', '--', 'psql', '-X', '-A', '-t', '-c', text], { env });
const admin = (...args: string[]) =>
  hoop(['admin', 'service-accounts', ...args, '--config', stage!.installation.configFile], {
    env: stage!.installation.env,
  });
const tokensOf = (text: string): string[] => secrets.filter((secret) => text.includes(secret));

test(
  'a pipeline runs psql with HOOP_TOKEN alone, several times, and leaves nothing behind',
  { skip },
  async () => {
    const token = kept(await issuer!.github(audience));
    const env = machine('pipeline', { HOOP_TOKEN: token });
    for (let run = 0; run < 2; run++) {
      const done = await psql(env);
      assert.deepEqual([done.code, done.stdout], [0, '42\n'], done.stderr);
    }
    const client = await hoop(['connect', 'db', '--', 'sh', '-c', 'env'], { env });
    assert.equal(client.code, 0, client.stderr);
    assert.deepEqual(tokensOf(client.output), [], 'the client does not get the token');
    const who = JSON.parse((await hoop(['whoami', '--json'], { env })).stdout);
    assert.deepEqual([who.principal.kind, who.principal.groups], ['service', ['jobs']]);
    assert.equal(who.principal.subject, 'repo:acme/shop:ref:refs/heads/main');
    const config = env['XDG_CONFIG_HOME']!;
    assert.deepEqual(existsSync(path.join(config, 'hoop')) ? readdirSync(path.join(config, 'hoop')) : [], []);
    const other = machine('fork', {
      HOOP_TOKEN: await issuer!.github(audience, { sub: 'repo:evil/shop:ref:refs/heads/main' }),
    });
    const refused = await hoop(['targets', '--json'], { env: other });
    assert.equal(refused.code, 3);
    assert.equal(JSON.parse(refused.stdout).error.code, 'assertion-unmatched');
  },
);

test(
  'a token file is read again, and a port in the background outlives its first token',
  { skip },
  async () => {
    const file = path.join(stage!.directory, 'token');
    const write = async (seconds: number) =>
      writeFileSync(file, kept(await issuer!.github(audience, {}, { seconds })));
    await write(12);
    const until = Date.now() + 13_000;
    const env = machine('pod', { HOOP_TOKEN_FILE: file });
    const connected = await hoop(['connect', 'db', '--detach', '--json'], { env });
    assert.equal(connected.code, 0, connected.stderr);
    const { port, session } = JSON.parse(connected.stdout);
    await write(300);
    await eventually('the first token has ended', () => Date.now() > until);
    const late = await clientAt(port, { PATH: env['PATH'], HOME: env['HOME'] });
    assert.equal(late.stdout, '42\n', late.stderr);
    const [served] = JSON.parse((await hoop(['status', '--json'], { env })).stdout).served ?? [];
    assert.equal(served?.session, session);
    assert.equal((await hoop(['disconnect', '--all'], { env })).code, 0);
  },
);

function clientAt(port: number, env: NodeJS.ProcessEnv) {
  return run(
    'psql',
    ['-X', '-A', '-t', '-h', '127.0.0.1', '-p', `${port}`, '-d', 'app', '-U', 'x', '-c', sql],
    { env },
  );
}

test(
  'a service account signs in by key or by secret; disabled, it is out with its live session',
  { skip },
  async () => {
    const keyFile = path.join(stage!.directory, 'nightly.key');
    const made = await admin('create', 'nightly', '--group', 'jobs', '--key-file', keyFile);
    assert.equal(made.code, 0, made.stderr);
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
    kept(readFileSync(keyFile, 'utf8').split('\n')[1]!);
    const byKey = machine('nightly', { HOOP_SERVICE_ACCOUNT: 'nightly', HOOP_SERVICE_KEY_FILE: keyFile });
    assert.equal((await psql(byKey)).stdout, '42\n');

    const second = await admin('create', 'reporter', '--group', 'jobs', '--secret', '--json');
    const { secret } = JSON.parse(second.stdout);
    const secretFile = path.join(stage!.directory, 'reporter.secret');
    writeFileSync(secretFile, `${kept(secret)}\n`, { mode: 0o600 });
    const bySecret = machine('reporter', {
      HOOP_SERVICE_ACCOUNT: 'reporter',
      HOOP_SERVICE_SECRET_FILE: secretFile,
    });
    assert.equal((await psql(bySecret)).stdout, '42\n');
    assert.doesNotMatch((await admin('list', '--json')).output, new RegExp(secret));

    const live = Running.hoop(['connect', 'db', '--', 'psql', '-X', '-c', 'select pg_sleep(60)'], byKey);
    const sessions = async () =>
      JSON.parse((await stage!.lea.hoop('sessions', 'list', '--json')).stdout).sessions;
    await stage!.lea.login(stage!.installation.url);
    await eventually('it is listed', async () =>
      (await sessions()).some(({ principal }: { principal: { subject: string } }) =>
        principal.subject.startsWith('nightly:'),
      ),
    );
    assert.equal((await admin('disable', 'nightly')).code, 0);
    assert.notEqual(await live.ended, 0);
    const refused = await hoop(['targets', '--json'], { env: byKey });
    assert.deepEqual([refused.code, JSON.parse(refused.stdout).error.code], [4, 'service-account-refused']);
    const half = await hoop(['targets', '--json'], {
      env: machine('half', { HOOP_SERVICE_ACCOUNT: 'nightly' }),
    });
    assert.deepEqual([half.code, JSON.parse(half.stdout).error.code], [2, 'machine-settings-invalid']);
  },
);

test(
  'an agent acts for Ana: the record names both, neither approves for the other, and it ends with her sign-in',
  { skip },
  async () => {
    const { ana, lea } = stage!;
    assert.equal((await admin('create', 'assistant', '--kind', 'agent', '--group', 'assistants')).code, 0);
    const denied = await stage!.mallory
      .login(stage!.installation.url)
      .then(() => stage!.mallory.hoop('delegate', 'assistant', '--json'));
    assert.deepEqual([denied.code, JSON.parse(denied.stdout).error.code], [3, 'delegation-denied']);
    const delegated = await ana.hoop(
      'delegate',
      'assistant',
      '--for',
      '10m',
      '--target',
      'db',
      '--task',
      'cleanup',
    );
    assert.equal(delegated.code, 0, delegated.stderr);
    const token = kept(delegated.stdout.trim());
    assert.match(token, /^hoop_dlg_[\w-]{43}$/);
    const env = machine('assistant', { HOOP_TOKEN: token });
    const unnamed = await psql(env);
    assert.equal(unnamed.code, 3, unnamed.output);
    const withTask = { ...env, HOOP_TASK: 'cleanup' };
    assert.equal((await psql(withTask)).stdout, '42\n');
    const who = JSON.parse((await hoop(['whoami', '--json'], { env })).stdout);
    assert.equal(who.principal.actsFor.email, 'ana@example.com');
    assert.deepEqual(who.principal.groups, ['assistants']);

    const held = Running.hoop(['connect', 'db', '--', 'psql', '-X', '-c', 'delete from held_here'], withTask);
    const review = await eventually('it is held', async () => {
      const { stdout } = await ana.hoop('reviews', '--json');
      return JSON.parse(stdout).reviews?.find((each: { state: string }) => each.state === 'pending');
    });
    assert.equal(review.requester.actsFor.email, 'ana@example.com');
    for (const env2 of [ana.env, withTask]) {
      const own = await hoop(['approve', review.review, '--json'], { env: env2 });
      assert.equal(own.code, 3, own.output);
      assert.equal(JSON.parse(own.stdout).error.code, 'review-own-request');
    }
    assert.equal((await ana.hoop('logout')).code, 0);
    assert.notEqual(await held.ended, 0, 'its session ended with her sign-in');
    const over = await hoop(['targets', '--json'], { env });
    assert.deepEqual([over.code, JSON.parse(over.stdout).error.code], [4, 'delegation-ended']);

    const sessions = JSON.parse((await lea.hoop('audit', 'sessions', '--json')).stdout).sessions;
    const session = sessions.find((each: { task: string }) => each.task === 'cleanup');
    assert.equal(session.principal.kind, 'agent');
    assert.equal(session.principal.actsFor.email, 'ana@example.com');
    const csv = (await lea.hoop('audit', 'export', '--format', 'csv', '--person', 'ana@example.com')).stdout;
    assert.match(csv, /,agent,[^\n]*assistant:[^\n]*select 40 \+ 2[^\n]*ana@example\.com/);
    assert.match((await lea.hoop('audit', 'sessions')).stdout, /assistant:\w+ for ana@example\.com/);
  },
);

test(
  'the record verifies, and no token, key or secret stands in arguments, logs or files',
  { skip },
  async () => {
    const relayLog = stage!.installation.relay.output;
    const commandLines = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
    assert.ok(secrets.length >= 6);
    assert.deepEqual(tokensOf(`${relayLog}${commandLines.join('\n')}`), []);
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.output);
    await stage!.installation.stop();
    const given = new Set(['token', 'nightly.key', 'reporter.secret']);
    for (const name of readdirSync(stage!.directory, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(stage!.directory, name);
      if (given.has(name) || !statSync(file, { throwIfNoEntry: false })?.isFile()) continue;
      assert.deepEqual(tokensOf(readFileSync(file, 'latin1')), [], name);
    }
  },
);
