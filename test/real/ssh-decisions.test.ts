/** Commands on a server that policy denies, holds and masks: exec, lines of a shell, files. OpenSSH's own client and server. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, Running, type Finished } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
const policy = `
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
permit (principal in Group::"leads", action in [Action::"review", Action::"readEvidence"], resource);
@id("no-recursive-delete") forbid (principal, action == Action::"execute", resource) when { context.unbounded };
@id("touching-is-reviewed") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.programs.contains("touch") };
@id("not-etc") forbid (principal, action == Action::"execute", resource) when { context.paths.contains("/etc/") };
`;
let stage: SshStage;
let port: SshPort;
let env: NodeJS.ProcessEnv;
let there: string;

before(async () => {
  if (options.skip !== false) return;
  stage = await startSshStage({
    policy,
    config: {
      masking: { rules: [{ name: 'personal', detect: ['card', 'email'] }] },
      evidence: { seal: { discardOriginals: true } },
    },
  });
  await stage.lea.login(stage.installation.url);
  port = await stage.connect();
  env = { PATH: process.env['PATH'], HOME: stage.directory };
  there = path.join(stage.sshd.directory, 'there');
  mkdirSync(there);
});
after(async () => {
  if (options.skip !== false) return;
  await stage.close();
});

const at = (...args: readonly string[]): string[] => [...port.options, '-p', String(port.port), ...args];
const ssh = (args: readonly string[], input = ''): Promise<Finished> =>
  run('ssh', at(...args), { env, input });
const isReview = /hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/;

/** A shell on a terminal of the target's; what is typed goes in by hand. */
function shell(): { running: Running; type(text: string): void; ended: Promise<unknown> } {
  const running = new Running('ssh', at('-tt', '127.0.0.1'), { ...env, TERM: 'xterm' }, 'pipe');
  return { running, type: (text) => void running.child.stdin!.write(text), ended: running.ended };
}

test('a denied exec never reaches the target', options, async () => {
  const directory = path.join(there, 'kept');
  mkdirSync(directory);
  const { code, stderr } = await ssh(['127.0.0.1', `rm -rf ${directory}`]);
  assert.equal(code, 126);
  assert.match(stderr, /hoop: denied by no-recursive-delete/);
  assert.ok(existsSync(directory));
});

test('a held exec waits for people, and runs when they approve', options, async () => {
  const file = path.join(there, 'approved');
  const held = new Running('ssh', at('127.0.0.1', `touch ${file} && echo touched`), env);
  const [, review] = await held.says(isReview);
  assert.ok(!existsSync(file));
  const beside = await ssh(['127.0.0.1', 'echo beside']);
  assert.equal(beside.stdout, 'beside\n');
  const shown = await stage.lea.hoop('reviews', 'show', review!);
  assert.match(shown.stdout, /touch .*approved && echo touched/);
  const approved = await stage.lea.hoop('approve', review!);
  assert.equal(approved.code, 0, approved.output);
  assert.equal(await held.ended, 0);
  assert.equal(held.stdout, 'touched\n');
  assert.ok(existsSync(file));
});

test('a rejected exec ends as a denied one', options, async () => {
  const file = path.join(there, 'rejected');
  const held = new Running('ssh', at('127.0.0.1', `touch ${file}`), env);
  const [, review] = await held.says(isReview);
  const rejected = await stage.lea.hoop('reject', review!, '--reason', 'not now');
  assert.equal(rejected.code, 0, rejected.output);
  assert.equal(await held.ended, 126);
  assert.ok(!existsSync(file));
});

test('lines of a shell are commands: denied, held, let through', options, async () => {
  const directory = path.join(there, 'shell');
  mkdirSync(directory);
  const { running, type, ended } = shell();
  type('PS1="ready> "; echo up\r');
  await running.says(/up\r?\n[^]*ready> $/);
  type(`rm -r ${directory}\r`);
  await running.says(/denied by no-recursive-delete/);
  await running.says(/denied by[^]*ready> $/);
  assert.ok(existsSync(directory));
  type(`touch ${directory}/file\r`);
  const [, review] = await running.says(isReview);
  const approved = await stage.lea.hoop('approve', review!);
  assert.equal(approved.code, 0, approved.output);
  await running.says(/approved[^]*ready> $/);
  assert.ok(existsSync(`${directory}/file`));
  type('exit\r');
  await ended;
});

test('files are decided by their paths', options, async () => {
  const at = ['-P', String(port.port), ...port.options];
  writeFileSync(path.join(there, 'fine'), 'fine');
  const batch = `get ${there}/fine ${stage.directory}/fine\n-get /etc/hostname ${stage.directory}/hostname\n`;
  const { stderr } = await run('sftp', [...at, '-b', '-', '127.0.0.1'], { env, input: batch });
  assert.match(stderr, /[Pp]ermission denied/);
  // Who speaks is said once.
  assert.match(stderr, /^hoop: /m);
  assert.doesNotMatch(stderr, /hoop: hoop:/);
  assert.ok(existsSync(path.join(stage.directory, 'fine')));
  assert.ok(!existsSync(path.join(stage.directory, 'hostname')));
  const old = await run(
    'scp',
    ['-O', ...at, '127.0.0.1:/etc/hostname', path.join(stage.directory, 'hostname')],
    { env },
  );
  assert.notEqual(old.code, 0);
  assert.ok(!existsSync(path.join(stage.directory, 'hostname')));
});

test('values are masked in output, errors and terminals', options, async () => {
  const text = 'card 4111111111111111 of ana@example.com';
  const { stdout, stderr } = await ssh(['127.0.0.1', `echo '${text}'; echo '${text}' >&2`]);
  assert.equal(stdout, 'card **************** of ***************\n');
  assert.equal(stderr, 'card **************** of ***************\n');
  const terminal = await ssh(['-tt', '127.0.0.1', `printf 'card 4111\\033[1m1111\\033[0m11111111\\n'`]);
  assert.ok(!/1111/.test(terminal.stdout), terminal.stdout);
});

test('all of it is in the record, and none of the values', options, async () => {
  await port.running.stop('SIGINT');
  const { stdout } = await stage.lea.hoop('audit', 'export', '--format', 'jsonl', '--session', port.session);
  const commands = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { kind: string; text: string | null; outcome: string | null })
    .filter(({ kind }) => kind === 'command')
    .map(({ text, outcome }) => `${outcome} ${text}`);
  const has = (pattern: RegExp): void =>
    assert.ok(
      commands.some((line) => pattern.test(line)),
      `${pattern}\n${commands.join('\n')}`,
    );
  has(/^blocked rm -rf .*kept$/);
  has(/^succeeded touch .*approved && echo touched$/);
  has(/^blocked touch .*rejected$/);
  has(/^blocked rm -r .*shell$/);
  has(/^unknown touch .*shell\/file$/);
  has(/^succeeded get .*fine$/);
  has(/^blocked stat \/etc\/hostname$/);
  has(/^blocked scp -f \/etc\/hostname$/);
  assert.ok(!stdout.includes('4111111111111111'));
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});
