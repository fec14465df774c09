/** A replay in a real terminal (tmux): keys, and the terminal given back however it ends. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hoopBinary } from '../../../../src/cli/demo/hoop.ts';
import { anaLogin, anaSession, History } from '../../../evidence/read/history.ts';
import { eventually } from '../../../support/eventually.ts';
import { missing } from '../../../support/programs.ts';

const skip = missing('tmux');
const home = mkdtempSync(path.join(tmpdir(), 'hoop-tmux-'));
const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-u', '-S', path.join(home, 'socket'), '-f', '/dev/null', ...args], {
    encoding: 'utf8',
  });
after(() => {
  if (!skip) tmux('kill-server');
  rmSync(home, { recursive: true, force: true });
});

/** A shell at 90×30 that says `tick n` in each second of a minute, in an alternate screen with a title. */
async function ticking(history: History): Promise<void> {
  await history.login(anaLogin, 'ana');
  const recorder = await history.session(anaSession, anaLogin, 'ana', null, {
    target: 'server',
    protocol: 'ssh',
  });
  recorder.connectionOpened(1, { parameters: { channel: 'shell', term: 'xterm' }, serverVersion: null });
  const facts = { effects: ['shell'], relations: [], functions: [], programs: [] } as const;
  recorder.command(1, 1, Buffer.from('shell'), null, 'allow', facts, null);
  recorder.resize(1, 1, 90, 30);
  recorder.output(1, 1, Buffer.from('\x1b]0;stolen title\x07\x1b[?1049h\x1b[?1000h\x1b[6n'));
  for (let second = 0; second < 60; second++) {
    recorder.output(1, 1, Buffer.from(`tick ${second}.\r\n`));
    recorder.flush();
    history.now += 1000;
  }
  recorder.connectionClosed(1, 'ended');
  await history.close(anaSession, recorder);
}

/** A shell in a window of 80×24, and what it shows. */
function window() {
  const env = ['PS1=prompt> ', 'NO_COLOR=1', `XDG_CACHE_HOME=${home}`, `HOME=${home}`];
  tmux('new-session', '-d', '-x', '80', '-y', '24', 'env', ...env, 'sh');
  const id = tmux('list-panes', '-a', '-F', '#{pane_id}').trim().split('\n').at(-1)!;
  const screen = (): string => tmux('capture-pane', '-p', '-t', id);
  return {
    screen,
    run: (text: string): void => void tmux('send-keys', '-t', id, text, 'Enter'),
    press: (...keys: string[]): void => void tmux('send-keys', '-t', id, ...keys),
    shows: (pattern: RegExp): Promise<string> =>
      eventually(
        `${pattern.source} on the screen`,
        () => (pattern.test(screen()) ? screen() : null),
        30_000,
      ).catch((cause: unknown) => {
        throw new Error(`the screen shows\n${screen()}`, { cause });
      }),
    about: (format: string): string => tmux('display-message', '-p', '-t', id, format).trim(),
  };
}

const lastTick = (screen: string): number =>
  Number([...screen.matchAll(/tick (\d+)\./g)].at(-1)?.[1] ?? Number.NaN);

test('keys: pause, step, forward, back, quit; the terminal is as it was', { skip }, async () => {
  await using history = await new History().open();
  await ticking(history);
  const { run, press, shows, screen, about } = window();
  await shows(/prompt>/);
  run(`stty -g > ${path.join(home, 'before')}; clear`);
  run(
    `${process.execPath} ${hoopBinary} audit replay --dir ${history.directory} ${anaSession} --max-idle 1h --from 20s 2> ${path.join(home, 'notes')}`,
  );
  await shows(/tick 20\./);
  assert.equal(about('#{alternate_on}'), '1');
  press('Space');
  // What was on its way is shown; then nothing more.
  const paused = lastTick(screen());
  assert.ok(paused >= 20 && paused < 30, screen());
  press('.');
  await shows(new RegExp(`tick ${paused + 1}\\.`));
  press('Right');
  await shows(new RegExp(`tick ${paused + 6}\\.`));
  press('Left');
  // Back is everything again from the beginning: what was later is no longer there.
  await eventually('back', () => lastTick(screen()) === paused + 1);
  press('q');
  await shows(/prompt>/);
  assert.equal(about('#{alternate_on}#{mouse_any_flag}#{cursor_flag}'), '001');
  assert.doesNotMatch(about('#{pane_title}'), /stolen/);
  run(`stty -g | cmp - ${path.join(home, 'before')} && echo terminal 'as' before`);
  await shows(/terminal as before/);
  // No answer of the terminal was typed into the shell.
  assert.doesNotMatch(screen(), /;1R/);
  run(`cat ${path.join(home, 'notes')}`);
  await shows(/recorded in a window of 90×30; this one has 80×24/);
});

test('Ctrl-C, a signal, and the end of the recording give the terminal back too', { skip }, async () => {
  await using history = await new History().open();
  await ticking(history);
  const { run, press, shows, about } = window();
  await shows(/prompt>/);
  const file = path.join(home, 'settings');
  run(`stty -g > ${file}; clear`);
  const pidFile = path.join(home, 'pid');
  const replay = `${process.execPath} ${hoopBinary} audit replay --dir ${history.directory} ${anaSession}`;
  const ways: [name: string, flags: string, end: () => void][] = [
    ['interrupted', '--max-idle 1h --from 20s', () => press('C-c')],
    [
      'signalled',
      '--max-idle 1h --from 20s',
      () => void process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM'),
    ],
    ['played', '--speed 1000', () => undefined],
  ];
  for (const [name, flags, end] of ways) {
    run(
      `sh -c 'echo $$ > ${pidFile}; exec ${replay} ${flags} 2>/dev/null'; stty -g | cmp - ${file} && echo ${name} 'and' given back`,
    );
    if (name !== 'played') await shows(/tick 20\./);
    end();
    await shows(new RegExp(`${name} and given back`));
    assert.equal(about('#{alternate_on}#{cursor_flag}'), '01');
  }
});
