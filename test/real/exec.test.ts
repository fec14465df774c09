/** `hoop exec` at a real sshd through the built binary: bytes, exit codes, signals, terminals, what is refused. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { hoopBinary } from '../../src/cli/demo/hoop.ts';
import { hoop } from '../support/relay.ts';
import { eventually } from '../support/eventually.ts';
import { findProgram, missing } from '../support/programs.ts';
import { startSshStage, type SshStage } from '../support/ssh-stage.ts';

const skip = missing('openssh');
const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("no-nightly") forbid (principal, action == Action::"execute", resource)
  when { context has task && context.task == "nightly" };
@id("ask") @review("leads") forbid (principal, action == Action::"execute", resource)
  when { context has task && context.task == "careful" };
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill", Action::"review"], resource);
`;
let stage: SshStage;
before(async () => {
  if (skip !== false) return;
  stage = await startSshStage({ policy });
  await stage.lea.login(stage.installation.url);
});
after(() => stage?.close());

const exec = (...args: string[]) => stage.ana.hoop('exec', 'server', ...args);

/** Bytes in, bytes out. */
function piped(
  input: Buffer,
  ...args: string[]
): Promise<{ code: number | null; stdout: Buffer; stderr: Buffer }> {
  const child = spawn(process.execPath, [hoopBinary, 'exec', 'server', ...args], { env: stage.ana.env });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(err) }));
  });
}

test(
  'every word arrives as it was: quotes, blanks, lines, patterns, variables, Unicode, what looks like a keyword',
  { skip },
  async () => {
    const words = [
      'a b',
      "it's",
      '"q"',
      '$HOME',
      '*',
      '`id`',
      '\\',
      'line\nline',
      '',
      '~',
      '!x',
      'žluť 漢字 🦊',
      '-n',
      'x=y',
      '#c',
      '{a,b}',
      'tab\there',
    ];
    const { code, stdout, stderr } = await exec('--', 'printf', '<%s>\\n', ...words);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, words.map((word) => `<${word}>\n`).join(''));
    const name = await exec('--', 'A=b');
    assert.equal(name.code, 127, 'a word in front is the name of a program, never a variable');
    const odd = await exec('--', 'if');
    assert.equal(odd.code, 127);
  },
);

test('stdout and stderr stay apart, and the exit code is the program’s, each of them', { skip }, async () => {
  const { code, stdout, stderr } = await exec('--shell', '--', 'echo out; echo err >&2; exit 41');
  assert.deepEqual([code, stdout, stderr], [41, 'out\n', 'err\n']);
  for (const expected of [0, 1, 2, 3, 126, 127, 128, 255]) {
    const answer = await exec('--shell', '--', `exit ${expected}`);
    assert.equal(answer.code, expected);
  }
});

test('a signal that ends the program: 128 + its number, by name in --json', { skip }, async () => {
  const text = await exec('--shell', '--', 'kill -TERM $$');
  assert.equal(text.code, 143);
  const { code, stdout } = await exec('--json', '--shell', '--', 'echo x; printf "\\377" >&2; kill -KILL $$');
  const result = JSON.parse(stdout);
  assert.equal(code, 137);
  assert.deepEqual(
    [result.exitCode, result.signal, result.stdout, result.stdoutEncoding],
    [137, 'KILL', 'x\n', 'utf8'],
  );
  assert.deepEqual([result.stderr, result.stderrEncoding], ['/w==', 'base64']);
  assert.match(result.session, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  assert.deepEqual(Object.keys(result.timings), ['openMs', 'runMs', 'totalMs']);
});

test('5 MB of any bytes in and out, at the pace of whoever reads', { skip }, async () => {
  const bytes = randomBytes(5 * 1024 * 1024);
  const { code, stdout } = await piped(bytes, '--', 'cat');
  assert.equal(code, 0);
  assert.equal(
    createHash('sha256').update(stdout).digest('hex'),
    createHash('sha256').update(bytes).digest('hex'),
  );
});

test('stdin ends at the program too; --no-stdin ends it at once', { skip }, async () => {
  const counted = await piped(Buffer.from('one\ntwo\n'), '--', 'wc', '-l');
  assert.deepEqual([counted.code, counted.stdout.toString().trim()], [0, '2']);
  const child = spawn(process.execPath, [hoopBinary, 'exec', 'server', '--no-stdin', '--', 'cat'], {
    env: stage.ana.env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
});

test('20 at once, each with its own output', { skip }, async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => exec('--', 'echo', `number ${i}`)));
  assert.deepEqual(
    answers.map(({ code, stdout }) => [code, stdout]),
    answers.map((_, i) => [0, `number ${i}\n`]),
  );
});

test('a time limit: exit 124', { skip }, async () => {
  const { code } = await exec('--timeout', '1s', '--', 'sleep', '60');
  assert.equal(code, 124);
});

test('variables, and what is not one', { skip }, async () => {
  const { stdout } = await exec(
    '-e',
    'A=1 = one',
    '-e',
    'B=',
    '--shell',
    '--',
    'printf "%s|%s" "$A" "${B-unset}"',
  );
  assert.equal(stdout, '1 = one|');
  assert.equal((await exec('-e', '1A=x', '--', 'true')).code, 2);
});

test('a reader that leaves ends it quietly', { skip }, async () => {
  const { stdout } = await new Promise<{ stdout: string }>((resolve) => {
    const child = spawn(
      'bash',
      [
        '-c',
        `"$0" "$1" exec server -- yes | head -n 2; echo "\${PIPESTATUS[0]}"`,
        process.execPath,
        hoopBinary,
      ],
      {
        env: stage.ana.env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('close', () => resolve({ stdout: text }));
  });
  assert.equal(stdout, 'y\ny\n141\n');
});

test('a denied command: exit 3, and the rule; with --json one document', { skip }, async () => {
  const text = await exec('--task', 'nightly', '--', 'true');
  assert.deepEqual([text.code, text.stdout], [3, '']);
  assert.match(text.stderr, /^hoop: denied by no-nightly/);
  const json = await exec('--json', '--task', 'nightly', '--', 'true');
  assert.equal(json.code, 3);
  assert.equal(JSON.parse(json.stdout).error.code, 'command-denied');
});

test(
  'who may not connect, a target that is not there, flags for another kind of target',
  { skip },
  async () => {
    assert.equal((await stage.lea.hoop('exec', 'server', '--', 'true')).code, 3);
    assert.equal((await stage.ana.hoop('exec', 'nowhere', '--', 'true')).code, 2);
    const odd = await exec('--format', 'csv', '--', 'true');
    assert.equal(odd.code, 2);
    assert.match(odd.stderr, /target-unsuitable/);
    const stranger = path.join(stage.directory, 'stranger');
    mkdirSync(stranger, { recursive: true });
    const env = { PATH: process.env['PATH'], HOME: stranger, HOOP_KEYCHAIN: 'file' };
    const args = ['exec', 'server', '--relay', stage.installation.url, '--', 'true'];
    assert.equal((await hoop(args, { env })).code, 4);
    assert.equal(
      (await hoop(['exec', 'server', '--relay', 'http://localhost:1', '--', 'true'], { env: stage.ana.env }))
        .code,
      4,
    );
  },
);

test(
  'a held command says so on stderr, and runs once it is approved; Ctrl-C withdraws another',
  { skip },
  async () => {
    const held = stage.ana.start('exec', 'server', '--task', 'careful', '--', 'echo', 'approved');
    const [, review] = await held.says(/held for review (\S+);/);
    const approved = await stage.lea.hoop('approve', review!);
    assert.equal(approved.code, 0, approved.output);
    assert.equal(await held.ended, 0);
    assert.equal(held.stdout, 'approved\n');
    const other = stage.ana.start('exec', 'server', '--task', 'careful', '--', 'echo', 'never');
    await other.says(/held for review/);
    other.child.kill('SIGINT');
    assert.equal(await other.ended, 130);
    assert.equal(other.stdout, '');
  },
);

test('somebody ends the session: exit 3, and why', { skip }, async () => {
  const running = stage.ana.start('exec', 'server', '--shell', '--', 'echo started; sleep 60');
  await running.says(/started/);
  const list = await stage.lea.hoop('sessions', 'list', '--json');
  const [{ session }] = JSON.parse(list.stdout).sessions;
  assert.equal((await stage.lea.hoop('sessions', 'kill', session)).code, 0);
  assert.equal(await running.ended, 3);
  assert.match(running.stderr, /session-ended/);
});

test('Ctrl-C twice ends it, and the session with it', { skip }, async () => {
  const running = stage.ana.start(
    'exec',
    'server',
    '--shell',
    '--',
    'trap "" INT; echo started; while :; do sleep 1; done',
  );
  await running.says(/started/);
  running.child.kill('SIGINT');
  running.child.kill('SIGINT');
  // Two signals may arrive as one; one that comes while it exits ends it as a signal does, which is 130 to a shell.
  const over = (): boolean => running.child.exitCode !== null || running.child.signalCode !== null;
  await eventually('it ends', async () => over() || !running.child.kill('SIGINT'));
  assert.ok([130, null].includes(await running.ended));
  await eventually('the session is over', async () => {
    const { stdout } = await stage.lea.hoop('sessions', 'list', '--json');
    return JSON.parse(stdout).sessions.length === 0;
  });
});

const tmux = findProgram('tmux');
test(
  'a terminal: its size, a change of it, Ctrl-C, raw and put back',
  { skip: skip || (tmux === null && 'tmux is not installed') },
  async () => {
    const socket = path.join(stage.directory, 'tmux');
    const run = (...args: string[]): string =>
      execFileSync(tmux!, ['-f', '/dev/null', '-S', socket, ...args], {
        encoding: 'utf8',
        env: { ...stage.ana.env, TERM: 'xterm' },
      });
    run('new-session', '-d', '-s', 't', '-x', '100', '-y', '30', 'sh');
    try {
      const screen = (pattern: RegExp) =>
        eventually(String(pattern), () => pattern.exec(run('capture-pane', '-p', '-S', '-100', '-t', 't')));
      const type = (text: string): void => void run('send-keys', '-t', 't', '-l', text);
      const enter = (): void => void run('send-keys', '-t', 't', 'Enter');
      type(
        `PS1='local> '; "${process.execPath}" "${hoopBinary}" connect server; echo "code $?"; stty -a | grep -o -- '-\\?icanon'`,
      );
      enter();
      type("PS1='remote'; echo $PS1-$((40+2))");
      await new Promise((resolve) => setImmediate(resolve));
      enter();
      await screen(/remote-42/);
      type('stty size');
      enter();
      await screen(/^30 100$|^29 100$/m);
      run('resize-window', '-t', 't', '-x', '120', '-y', '40');
      await eventually('the new size', () => {
        type('stty size');
        enter();
        return /^(40|39) 120$/m.test(run('capture-pane', '-p', '-S', '-100', '-t', 't'));
      });
      type('sleep 1000');
      enter();
      await screen(/sleep 1000/);
      run('send-keys', '-t', 't', 'C-c');
      type('echo after-$((1+1)); exit 9');
      enter();
      await screen(/after-2/);
      await screen(/code 9\s+icanon/);
    } finally {
      run('kill-server');
    }
  },
);

test('what was run is in the record, word for word, and the record verifies', { skip }, async () => {
  const json = await exec('--json', '--', 'echo', 'for the record', "it's");
  const { session } = JSON.parse(json.stdout);
  const shown = await eventually('the session is recorded', async () => {
    const answer = await stage.lea.hoop('audit', 'export', '--format', 'json', '--session', session);
    return answer.code === 0 && answer.stdout.includes('exit 0') && answer.stdout;
  });
  assert.ok(shown.includes(JSON.stringify(`echo 'for the record' 'it'\\''s'`).slice(1, -1)), shown);
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});
