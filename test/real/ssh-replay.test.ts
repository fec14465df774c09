/**
 * The record of a real session at a real OpenSSH server: what is replayed is what ssh printed, asciicasts play, a session is
 * watched while it goes on, and `audit` tells the same from the relay and from an export.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Running, run } from '../../src/cli/demo/hoop.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { startSshStage, type SshPort } from '../support/ssh-stage.ts';

const skip = missing('openssh') || missing('script');
const stage = skip ? null : await startSshStage();
if (stage !== null) await stage.lea.login(stage.installation.url);
after(() => stage?.close());

const env = { ...process.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' };
const sshArgs = ({ options, port }: SshPort, ...args: string[]): string[] => [
  ...options,
  '-p',
  String(port),
  ...args,
];
const quoted = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

/**
 * ssh in a terminal of 100×30 by util-linux's script; resolves with all that it printed.
 * @param typed each at a prompt
 */
async function inTerminal(port: SshPort, command: string[], typed: readonly string[] = []): Promise<Buffer> {
  const ssh = quoted(['ssh', ...sshArgs(port, '-t', '127.0.0.1', ...command)]);
  const child = spawn('script', ['-qefc', `stty cols 100 rows 30; exec ${ssh}`, '/dev/null'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const printed: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  const closed = once(child, 'close');
  let before = 0;
  for (const line of typed) {
    // Before there is one, this side's terminal would echo what is typed too.
    await eventually('a prompt', () => {
      const all = Buffer.concat(printed).toString();
      return all.length > before + 2 && /[#$] $/.test(all);
    });
    before = Buffer.concat(printed).toString().length;
    child.stdin.write(line);
  }
  await closed;
  return Buffer.concat(printed);
}

/** Bytes of stdout. */
async function hoopBytes(...args: string[]): Promise<Buffer> {
  const running = Running.hoop(args, stage!.lea.env);
  const pieces: Buffer[] = [];
  running.child.stdout!.setEncoding('latin1' as never);
  running.child.stdout!.on('data', (piece: string) => pieces.push(Buffer.from(piece, 'latin1')));
  assert.equal(await running.ended, 0, running.stderr);
  return Buffer.concat(pieces);
}

const commands = (lines: string): string[] =>
  lines.split('\n').filter((line) => line.includes('"kind":"command"'));

const picture = String.raw`stty size; printf '\033[1;31mr\303\251d\033[0m \342\202\254 \033[5;10Hthere\033[?1049h\033[?1049l\n'; printf '\377\n'`;

test(
  'a terminal: replayed bytes are those that ssh printed; the window, the asciicast, the exit code',
  { skip },
  async () => {
    const port = await stage!.connect();
    const printed = await inTerminal(port, [picture]);
    assert.match(printed.toString(), /^30 100\r\n/);
    await port.running.stop('SIGINT');
    const { session } = port;
    assert.deepEqual(await hoopBytes('audit', 'replay', session), printed);
    const raw = await hoopBytes('audit', 'replay', session, '--dir', stage!.installation.evidence);
    assert.deepEqual(raw, printed);

    const file = path.join(stage!.directory, 'session.cast');
    const written = await stage!.lea.hoop('audit', 'replay', session, '--asciicast', file);
    assert.equal(written.code, 0, written.stderr);
    const again = await stage!.lea.hoop('audit', 'replay', session, '--asciicast', file);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /\(export-exists\)/);
    const [header, ...events] = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    assert.deepEqual(
      { ...(header as object), timestamp: 0 },
      {
        version: 2,
        width: 100,
        height: 30,
        timestamp: 0,
        idle_time_limit: 2,
        title: `ana@example.com at server, session ${session}, channel 1`,
        env: { TERM: 'xterm-256color' },
      },
    );
    const shown = (events as [number, string, string][]).map(([, , text]) => text).join('');
    assert.equal(shown, printed.toString());

    const events2 = await stage!.lea.hoop('audit', 'show', session, '--json');
    const { recorded } = JSON.parse(events2.stdout) as { recorded: { text: string; tag: string }[] };
    assert.deepEqual(
      recorded.map(({ text, tag }) => [text, tag]),
      [[picture, 'exit 0']],
    );
  },
);

test('asciinema plays the asciicast', { skip: skip || missing('asciinema') }, async () => {
  const port = await stage!.connect();
  const printed = await inTerminal(port, [picture]);
  await port.running.stop('SIGINT');
  const file = path.join(stage!.directory, 'played.cast');
  writeFileSync(file, await hoopBytes('audit', 'replay', port.session, '--asciicast', '-'));
  const played = await run('script', ['-qefc', quoted(['asciinema', 'cat', file]), '/dev/null'], { env });
  assert.equal(played.code, 0, played.output);
  assert.equal(played.stdout.replaceAll('\r', ''), printed.toString().replaceAll('\r', ''));
});

test(
  'several channels: the terminal is chosen and the others are named; without one, both streams apart',
  { skip },
  async () => {
    const { lea } = stage!;
    const port = await stage!.connect();
    const ran = await run('ssh', sshArgs(port, '127.0.0.1', 'echo out; echo err >&2; exit 7'), { env });
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'out\n', 'err\n']);
    const printed = await inTerminal(port, [], ['echo h$((1+1))i\r', 'exit 5\r']);
    await port.running.stop('SIGINT');
    const { session } = port;
    const replayed = await lea.hoop('audit', 'replay', session);
    assert.equal(replayed.stdout, printed.toString());
    assert.match(
      replayed.stderr,
      /^ {4}channel 1: exec .*exit 7\n {2}> channel 2: shell xterm-256color 100×30 exit 5\n/,
    );
    const first = await lea.hoop('audit', 'replay', session, '--channel', '1');
    assert.deepEqual([first.stdout, first.stderr], ['out\n', 'err\n']);
    const none = await lea.hoop('audit', 'replay', session, '--channel', '9');
    assert.equal(none.code, 2);
    assert.match(none.stderr, /\(channel-not-recorded\)/);
    const text = await lea.hoop('audit', 'replay', session, '--text');
    assert.match(text.stdout, /=> echo out; echo err >&2; exit 7\nout\nerr\nexit 7\n/);

    const shown = await lea.hoop('audit', 'show', session);
    const texts = shown.stdout.split('\n').map((line) => line.split('\t')[8]);
    assert.deepEqual(texts.slice(texts.indexOf('shell')), [
      'shell',
      '  echo h$((1+1))i (reconstructed)',
      '  exit 5 (reconstructed)',
      undefined,
    ]);

    const online = await lea.hoop('audit', 'export', '--format', 'jsonl', '--session', session);
    const bundle = path.join(stage!.directory, 'bundle');
    assert.equal((await lea.hoop('audit', 'export', '--out', bundle)).code, 0);
    const offline = await lea.hoop(
      'audit',
      'export',
      '--format',
      'jsonl',
      '--session',
      session,
      '--dir',
      bundle,
    );
    assert.deepEqual(commands(online.stdout), commands(offline.stdout));
    assert.ok(commands(online.stdout).length >= 2);
    assert.equal((await lea.hoop('audit', 'verify', bundle)).code, 0);
  },
);

test('files stand under their program, with size and digest', { skip }, async () => {
  const { lea, sshd } = stage!;
  const port = await stage!.connect();
  const content = Buffer.from('what is transferred\n');
  const [here, there] = [path.join(stage!.directory, 'file'), path.join(sshd.directory, 'file')];
  writeFileSync(here, content);
  const batch = await run('sftp', [...port.options, '-P', String(port.port), '-b', '-', '127.0.0.1'], {
    env,
    input: `put ${here} ${there}\n`,
  });
  assert.equal(batch.code, 0, batch.stderr);
  await port.running.stop('SIGINT');
  const shown = await lea.hoop('audit', 'show', port.session);
  const line = shown.stdout.split('\n').find((each) => each.includes(`put ${there}`));
  const digest = `${content.length} bytes sha256:${hash('sha256', content)}`;
  assert.deepEqual(
    line?.split('\t').filter((_, at) => [0, 4, 5, 8].includes(at)),
    ['1', 'succeeded', digest, `  put ${there}`],
  );
  // Not the bytes of the transfer: what was done.
  const replayed = await lea.hoop('audit', 'replay', port.session);
  assert.match(replayed.stdout, new RegExp(`=> put ${there}\n.*${digest}`));
});

test(
  'watched while it goes on: output within two seconds, and the end when somebody ends it',
  { skip },
  async () => {
    const { lea } = stage!;
    const port = await stage!.connect();
    const tail = lea.start('audit', 'tail', '--json');
    await tail.says(/watching/);
    const child = spawn('ssh', sshArgs(port, '-tt', '127.0.0.1', 'cat'), {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const over = once(child, 'close');
    child.stdin.write('before\r');
    await once(child.stdout, 'data');
    const watcher = lea.start('audit', 'replay', port.session, '--follow');
    await watcher.says(/before/);
    const began = performance.now();
    child.stdin.write('while watched\r');
    await watcher.says(/while watched/);
    const ms = performance.now() - began;
    assert.ok(ms < 2000, `shown after ${ms} ms`);
    const killed = await lea.hoop('sessions', 'kill', port.session);
    assert.equal(killed.code, 0, killed.stderr);
    assert.equal(await watcher.ended, 0);
    assert.match(watcher.stderr, /the session has ended: killed/);
    await over;
    await tail.says(/"kind":"command"[^\n]*"text":"cat"[^\n]*/);
    assert.equal(await tail.stop('SIGINT'), 0);
    // Of a session that is over, following is a replay.
    const later = await lea.hoop('audit', 'replay', port.session, '--follow');
    assert.equal(later.stdout, watcher.stdout);
  },
);

test('the record verifies, and the log says who replayed', { skip }, async () => {
  const verified = await stage!.verify();
  assert.equal(verified.code, 0, verified.output);
  const read = await stage!.lea.hoop('audit', 'export', '--format', 'jsonl');
  assert.match(read.stdout, /"kind":"evidence\.read"[^\n]*"action":"replay"[^\n]*"follow":"true"/);
});
