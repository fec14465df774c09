/** What an operator sees and ends beside the relay, without a sign-in, and that the record says so. With the real binary. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, startStage, type Finished } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

const { SUDO_USER: _, ...environment } = stage?.installation.env ?? {};
const admin = (...args: string[]) =>
  hoop(['admin', ...args, '--config', stage!.installation.configFile, '--json'], { env: environment });
const json = ({ code, stdout, stderr }: Finished, expected = 0) => {
  assert.equal(code, expected, stdout + stderr);
  return JSON.parse(stdout);
};
const account = userInfo().username;

interface Listed {
  readonly session: string;
  readonly login: string;
  readonly target: string;
  readonly reason: string | null;
  readonly sessions: readonly string[];
  readonly principal: { readonly email: string };
}

interface Recorded {
  readonly kind: string;
  readonly session: string | null;
  readonly reason: string | null;
  readonly principal: object | null;
  readonly details: {
    readonly login?: string;
    readonly operator?: { account: string; reason: string | null };
  };
}

/** Events of one kind, as Lea reads the record. */
async function recorded(kind: string): Promise<Recorded[]> {
  const { stdout } = await stage!.lea.hoop('audit', 'export', '--format', 'jsonl');
  const events: Recorded[] = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return events.filter((event) => event.kind === kind);
}

test(
  'live sessions and sign-ins are listed and ended, and the record names the operator',
  { skip, timeout: 120_000 },
  async () => {
    const { ana, lea, installation, connect, verify } = stage!;
    await lea.login(installation.url);
    const { running, session } = await connect(['--reason', 'ticket 7']);
    const { sessions } = json(await admin('sessions', 'list'));
    assert.deepEqual(
      sessions.map((each: Listed) => [each.session, each.target, each.principal.email, each.reason]),
      [[session, 'db', ana.email, 'ticket 7']],
    );
    const { logins } = json(await admin('logins', 'list'));
    const his = logins.find((each: Listed) => each.principal.email === ana.email);
    assert.deepEqual([logins.length, his.sessions, his.login], [2, [session], sessions[0].login]);
    const shown = json(await admin('users', 'show', ana.email));
    assert.deepEqual([shown.user.groups, shown.logins, shown.sessions], [['engineering'], [his], sessions]);

    assert.equal(json(await admin('sessions', 'kill', 'x'), 2).error.code, 'session-not-live');
    assert.equal(
      json(await admin('sessions', 'kill', session, '--reason', 'a\u001b[2J'), 2).error.code,
      'usage',
    );
    assert.deepEqual(json(await admin('sessions', 'kill', session, '--reason', 'wrong database')), {
      session,
      killed: true,
    });
    assert.equal(await running.ended, 3, running.output);
    const [killed] = await eventually('the record has it', async () => {
      const found = await recorded('session.killed-by-operator');
      return found.length > 0 && found;
    });
    assert.deepEqual([killed!.session, killed!.principal], [session, null]);
    assert.deepEqual(killed!.details.operator, { account, reason: 'wrong database' });
    assert.equal((await ana.hoop('whoami')).code, 0, 'the sign-in goes on');

    const ended = json(await admin('logins', 'end', '--of', ana.email, '--reason', 'laptop stolen'));
    assert.deepEqual(ended, { logins: [his.login] });
    const after = json(await ana.hoop('whoami', '--json'), 4);
    assert.equal(after.error.code, 'login-expired', 'neither the token nor a renewal is of use');
    assert.equal(json(await admin('logins', 'end', his.login), 2).error.code, 'login-unknown');
    const [told] = await eventually('the record has it', async () => {
      const found = await recorded('login.ended');
      return found.length > 0 && found;
    });
    assert.deepEqual(told!.details.operator, { account, reason: 'laptop stolen' });
    assert.deepEqual([told!.details.login, told!.reason], [his.login, 'revoked']);
    assert.equal((await verify()).code, 0);
  },
);

test(
  'what is ended while the relay does not run is over when it comes back, and is told then',
  { skip, timeout: 120_000 },
  async () => {
    const { ana, lea, installation, verify } = stage!;
    await ana.login(installation.url);
    await installation.stop();
    const { logins } = json(await admin('logins', 'end', '--of', ana.email));
    json(await admin('users', 'disable', ana.email));
    await installation.start();
    assert.equal(json(await ana.hoop('whoami', '--json'), 4).error.code, 'login-expired');
    await eventually('the record has it', async () => {
      const found = await recorded('login.ended');
      return found.some(
        (event) => event.details.login === logins[0] && event.details.operator?.account === account,
      );
    });
    // A relay that is killed leaves no session behind that looks alive.
    json(await admin('users', 'enable', ana.email));
    await ana.login(installation.url);
    const { session } = await stage!.connect();
    await installation.stop('SIGKILL');
    assert.equal(json(await admin('sessions', 'kill', session), 5).error.code, 'relay-not-running');
    await installation.start();
    const { sessions } = json(await admin('sessions', 'list'));
    assert.ok(sessions.every((each: Listed) => each.session !== session));
    assert.equal(
      json(await lea.hoop('sessions', 'list', '--json')).sessions.some(
        (each: Listed) => each.session === session,
      ),
      false,
    );
    assert.equal((await verify()).code, 0);
  },
);
