/** Lines, holding and waiting, with a scripted target and fake time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedTerminal } from './scripted.ts';

function atPrompt(prompt = '$ ', columns = 80, rows = 24): ScriptedTerminal {
  const scripted = new ScriptedTerminal(columns, rows);
  scripted.shows(prompt);
  return scripted;
}

test('a line that was echoed is told before Enter passes, and Enter passes in the same call', () => {
  const scripted = atPrompt();
  scripted.echoes('ls -la');
  assert.equal(scripted.forwarded, 'ls -la');
  scripted.types('\r');
  assert.deepEqual(scripted.last, {
    line: 1,
    text: 'ls -la',
    how: 'reconstructed',
    exact: true,
    hidden: false,
    prompt: '$ ',
  });
  assert.equal(scripted.forwarded, 'ls -la\r');
});

test('Enter without a line, and on the alternate screen, passes and tells nothing', () => {
  const scripted = atPrompt();
  scripted.types('\r');
  scripted.shows('\r\n$ \x1b[?1049h\x1b[H~ text');
  scripted.types('iabc\r\n');
  scripted.shows('\x1b[?1049l\r\n$ ');
  scripted.types('\n');
  assert.deepEqual(scripted.lines, []);
  assert.equal(scripted.forwarded, '\riabc\r\n\n');
});

test('the echo is waited for: nothing of it delays what was typed, only Enter', () => {
  const scripted = atPrompt();
  scripted.types('ls\r');
  assert.equal(scripted.forwarded, 'ls');
  scripted.shows('l');
  assert.deepEqual(scripted.lines, []);
  scripted.shows('s');
  assert.equal(scripted.last?.text, 'ls');
  assert.equal(scripted.forwarded, 'ls\r');
});

test('the wait for an echo is bounded, and what is never shown is never told', () => {
  const scripted = atPrompt('Password: ');
  scripted.types('geheim\r');
  scripted.passes(149);
  assert.equal(scripted.forwarded, 'geheim');
  scripted.passes(1);
  assert.equal(scripted.forwarded, 'geheim\r');
  assert.deepEqual(scripted.lines, [
    { line: 1, text: '', how: 'reconstructed', exact: false, hidden: true, prompt: 'Password: ' },
  ]);
  assert.ok(!JSON.stringify(scripted.lines).includes('geheim'));
});

test('a password shown as stars is hidden too', () => {
  const scripted = atPrompt('[sudo] password for ana: ');
  for (const _ of 'geheim') {
    scripted.types('x');
    scripted.shows('*');
  }
  scripted.types('\r');
  scripted.passes(150);
  assert.equal(scripted.last?.hidden, true);
  assert.equal(scripted.last?.text, '');
});

test('a target that is far away is waited for longer', () => {
  const scripted = atPrompt();
  scripted.types('l');
  scripted.passes(190);
  scripted.shows('l');
  scripted.types('s\r');
  scripted.passes(370);
  assert.equal(scripted.forwarded, 'ls');
  scripted.shows('s');
  assert.equal(scripted.last?.text, 'ls');
});

test('echo that stops in the middle of a line: the rest is hidden, and said to be', () => {
  const scripted = atPrompt();
  scripted.echoes('echo hi');
  scripted.types('; rm -rf /\r');
  scripted.passes(150);
  assert.deepEqual(
    { ...scripted.last },
    { line: 1, text: 'echo hi', how: 'reconstructed', exact: false, hidden: true, prompt: '$ ' },
  );
});

test('deny: the line does not go, Ctrl-C does, and what waited behind it is gone', () => {
  const scripted = atPrompt();
  scripted.verdict = 'deny';
  scripted.types('rm -rf /\rls\r');
  scripted.shows('rm -rf /');
  scripted.types('df');
  assert.equal(scripted.forwarded, 'rm -rf /');
  scripted.passes(50);
  assert.equal(scripted.forwarded, 'rm -rf /\x03df');
  assert.equal(scripted.terminal.waitingBytes, 0);
  scripted.verdict = 'allow';
  scripted.shows('^C\r\n$ df');
  scripted.types('\r');
  assert.equal(scripted.last?.text, 'df');
  assert.equal(scripted.forwarded, 'rm -rf /\x03df\r');
});

for (const [name, answer, expected] of [
  ['a line editor that says nothing to Ctrl-C gets it once more', () => undefined, '\x03\x03'],
  [
    'nor does it answer by drawing the line',
    (scripted: ScriptedTerminal) => scripted.shows('\r$ reboot'),
    '\x03\x03',
  ],
  ['not when it answered', (scripted: ScriptedTerminal) => scripted.shows('^C\r\n$ '), '\x03'],
  ['nor when somebody types, which wakes it', (scripted: ScriptedTerminal) => scripted.types('x'), '\x03x'],
  ['nor when it is over', (scripted: ScriptedTerminal) => scripted.terminal.close(), '\x03'],
] as const)
  test(`deny: ${name}`, () => {
    const scripted = atPrompt();
    scripted.verdict = 'deny';
    scripted.echoes('reboot');
    scripted.types('\r');
    scripted.passes(50);
    answer(scripted);
    scripted.passes(499);
    scripted.passes(1);
    scripted.passes(10_000);
    assert.equal(scripted.forwarded, `reboot${expected}`);
  });

test('wait: input stays until people have spoken', () => {
  const scripted = atPrompt();
  scripted.verdict = 'wait';
  scripted.echoes('reboot');
  scripted.types('\r');
  scripted.types('ls\r');
  scripted.passes(100_000);
  assert.equal(scripted.forwarded, 'reboot');
  assert.equal(scripted.terminal.waitingBytes, 4);
  scripted.verdict = 'allow';
  scripted.terminal.proceed();
  assert.equal(scripted.forwarded, 'reboot\rls');
  scripted.shows('\r\n$ ls');
  assert.equal(scripted.forwarded, 'reboot\rls\r');
  assert.deepEqual(
    scripted.lines.map(({ text, exact }) => [text, exact]),
    [
      ['reboot', true],
      ['ls', true],
    ],
  );
  assert.equal(scripted.drained > 0, true);
});

test('wait, then refused: the line is cleared', () => {
  const scripted = atPrompt();
  scripted.verdict = 'wait';
  scripted.echoes('reboot');
  scripted.types('\r');
  scripted.terminal.refuse();
  scripted.terminal.refuse();
  scripted.terminal.proceed();
  scripted.passes(50);
  assert.equal(scripted.forwarded, 'reboot\x03');
});

for (const [name, key] of [
  ['Ctrl-C', '\x03'],
  ['Ctrl-C of the kitty protocol', '\x1b[99;5u'],
] as const)
  test(`${name} withdraws a line that waits, and what was typed after it goes on`, () => {
    const scripted = atPrompt();
    scripted.verdict = 'wait';
    scripted.echoes('reboot');
    scripted.types('\rlost');
    scripted.types(`${key}x`);
    assert.deepEqual(scripted.withdrawn, [1]);
    scripted.passes(50);
    assert.equal(scripted.forwarded, `reboot${key}x`);
    scripted.terminal.proceed();
    assert.equal(scripted.forwarded, `reboot${key}x`);
  });

test('Ctrl-C that came with the line withdraws it at once', () => {
  const scripted = atPrompt();
  scripted.verdict = 'wait';
  scripted.types('reboot\r\x03');
  scripted.shows('reboot');
  assert.deepEqual(scripted.withdrawn, [1]);
  scripted.passes(50);
  assert.equal(scripted.forwarded, 'reboot\x03');
});

for (const [name, key] of [
  ['Ctrl-J', '\n'],
  ['Ctrl-O', '\x0f'],
  ['the keypad’s Enter', '\x1bOM'],
  ['Enter of the kitty protocol', '\x1b[13u'],
  ['Ctrl-J of the kitty protocol', '\x1b[106;5u'],
  ['Enter of modifyOtherKeys', '\x1b[27;5;13~'],
  ['Ctrl-D without a line editor', '\x04'],
  ['Escape, Enter', '\x1b\r'],
  ['Ctrl-X Ctrl-E', '\x18\x05'],
] as const)
  test(`${name} submits, also when it comes byte by byte`, () => {
    const scripted = atPrompt();
    scripted.verdict = 'deny';
    scripted.echoes('reboot');
    for (const byte of key) scripted.types(byte);
    scripted.passes(500);
    scripted.passes(50);
    assert.equal(scripted.last?.text, 'reboot');
    assert.equal(scripted.forwarded, `reboot${key.slice(0, -1)}\x03`);
  });

test('Ctrl-X Ctrl-E: what an editor will submit is hidden', () => {
  const scripted = atPrompt();
  scripted.types('\x18\x05');
  scripted.passes(150);
  assert.equal(scripted.last?.hidden, true);
});

test('in a line editor Ctrl-D is a key for editing', () => {
  const scripted = atPrompt('\x1b[?2004h$ ');
  scripted.echoes('ls');
  scripted.types('\x04');
  assert.deepEqual(scripted.lines, []);
});

test('history, a prompt on the right, a suggestion, a wrapped line, wide characters', () => {
  const right = `\x1b[70Gright\x1b[3G`;
  const cases: [string, (scripted: ScriptedTerminal) => void, string, boolean][] = [
    ['history', (s) => (s.types('\x1b[A'), s.shows('make test')), 'make test', true],
    ['on the right', (s) => (s.shows(right), s.types('\x1b[A'), s.shows('make')), 'make', true],
    ['suggested', (s) => (s.types('\x1b[A'), s.shows('ls\x1b[90m -la\x1b[m\x1b[4D')), 'ls', true],
    ['typed, then other text after it', (s) => (s.echoes('ls'), s.shows(' -la\x1b[4D')), 'ls -la', false],
    ['moved', (s) => (s.echoes('s -la'), s.types('\x01'), s.shows('\x1b[3Gls -la\x1b[6D')), 'ls -la', true],
    ['wrapped', (s) => s.echoes('x'.repeat(200)), 'x'.repeat(200), true],
    ['wide', (s) => s.echoes('echo 日本語🎉'), 'echo 日本語🎉', true],
    ['erased', (s) => (s.echoes('lss'), s.types('\x7f'), s.shows('\b \b')), 'ls', true],
    [
      'killed',
      (s) => (s.echoes('lss'), s.types('\x15'), s.shows('\x1b[3G\x1b[K'), s.echoes('df')),
      'df',
      true,
    ],
    ['searched', (s) => (s.types('\x12'), s.shows("\r(reverse-i-search)`ma': make\b\b\b\b")), 'make', true],
    ['not found', (s) => (s.types('\x12'), s.shows("\r(failed reverse-i-search)`x': make")), 'make', false],
    ['redrawn', (s) => (s.echoes('ls'), s.shows('\r\x1b[K(main) $ ls')), 'ls', true],
    ['cleared', (s) => (s.types('\x0c'), s.shows('\x1b[H\x1b[2J$ '), s.echoes('ls')), 'ls', true],
  ];
  for (const [name, act, text, exact] of cases) {
    const scripted = atPrompt('\r\n\r\n$ ');
    act(scripted);
    scripted.types('\r');
    scripted.passes(150);
    assert.deepEqual([scripted.last?.text, scripted.last?.exact], [text, exact], name);
    assert.equal(scripted.last?.hidden, false, name);
  }
});

test('a line longer than the screen and what scrolled off with it', () => {
  const scripted = atPrompt('$ ', 20, 4);
  const text = `echo ${'abcdefghij'.repeat(30)}`;
  scripted.echoes(text);
  scripted.types('\r');
  assert.equal(scripted.last?.text, text);
});

test('a window that changes while a line is typed', () => {
  const scripted = atPrompt('ana@host:~$ ', 80, 24);
  scripted.echoes('echo one two three');
  scripted.terminal.resize(20, 10);
  scripted.shows('\r\x1b[A\x1b[Jana@host:~$ echo one two three');
  scripted.types('\r');
  scripted.passes(150);
  assert.equal(scripted.last?.text, 'echo one two three');
});

test('Ctrl-O: the line that it puts behind the next prompt is told with what is added', () => {
  const scripted = atPrompt('me$ ');
  scripted.echoes('one');
  scripted.types('\x0f');
  scripted.shows('\r\nme$ rm -rf x');
  scripted.echoes(';');
  scripted.types('\r');
  scripted.passes(150);
  assert.equal(scripted.last?.text, 'rm -rf x;');
});

test('several lines at once: each is decided, and goes when the screen shows it', () => {
  const scripted = atPrompt();
  scripted.types('one\rtwo\r');
  assert.equal(scripted.forwarded, 'one');
  scripted.shows('one');
  assert.equal(scripted.forwarded, 'one\rtwo');
  scripted.shows('\r\nout\r\n$ two');
  assert.equal(scripted.forwarded, 'one\rtwo\r');
  assert.deepEqual(
    scripted.lines.map(({ text, exact }) => [text, exact]),
    [
      ['one', true],
      ['two', true],
    ],
  );
});

test('a bracketed paste is one line where somebody reads it so', () => {
  const scripted = atPrompt('\x1b[?2004h$ ');
  scripted.types('\x1b[200~one\rtwo\x1b[201~');
  scripted.passes(150);
  assert.equal(scripted.forwarded, '\x1b[200~one\rtwo\x1b[201~');
  scripted.shows('one\r\ntwo');
  scripted.types('\r');
  assert.equal(scripted.last?.text, 'one\ntwo');
});

test('a bracketed paste is lines where its mark is echoed, whatever mode the terminal was put into', () => {
  const scripted = atPrompt('\x1b[?2004h$ ');
  scripted.verdict = 'deny';
  scripted.types('\x1b[200~reboot\rtwo\x1b[201~');
  scripted.shows('^[[200~reboot');
  assert.ok(scripted.last?.text.includes('reboot'));
  assert.equal(scripted.last?.exact, false);
  scripted.passes(50);
  assert.equal(scripted.forwarded, '\x1b[200~reboot\x03');
});

const marked = (code: string) => `\x1b]133;D;${code}\x07\x1b]133;A\x07$ \x1b]133;B\x07`;

test('marks of the shell: where the prompt ends, and exit codes', () => {
  const scripted = new ScriptedTerminal();
  scripted.shows(marked('0'));
  scripted.echoes('false');
  scripted.types('\r');
  assert.deepEqual([scripted.last?.text, scripted.last?.how], ['false', 'marked']);
  scripted.shows(`\r\n\x1b]133;C\x07${marked('1')}`);
  scripted.passes(20);
  assert.deepEqual(scripted.finished, [[1, 1]]);
  scripted.echoes('for x in 1');
  scripted.types('\r');
  scripted.shows('\r\n> ');
  scripted.echoes('do :; done');
  scripted.types('\r');
  scripted.shows(`\r\n${marked('0')}`);
  scripted.passes(20);
  assert.deepEqual(scripted.finished, [
    [1, 1],
    [2, 0],
  ]);
});

test('a line that the shell says it runs, and that is not the one decided', () => {
  const scripted = new ScriptedTerminal();
  scripted.shows('\x1b]633;A\x07$ \x1b]633;B\x07');
  scripted.echoes('ls');
  scripted.types('\r');
  scripted.shows('\r\n\x1b]633;E;echo a\\x3b b\\\\c;nonce\x07\x1b]633;C\x07');
  scripted.passes(20);
  assert.deepEqual(scripted.differing, [[1, 'echo a; b\\c', 'marked']]);
});

test('a completion that came after the line was read is told when the line is left', () => {
  const scripted = atPrompt();
  scripted.echoes('cat fo');
  scripted.types('\t');
  scripted.shows('\x07');
  scripted.types('\r');
  scripted.passes(29);
  assert.deepEqual(scripted.lines, []);
  scripted.passes(1);
  assert.equal(scripted.last?.text, 'cat fo');
  scripted.shows('o.txt\r\n');
  scripted.passes(20);
  assert.deepEqual(scripted.differing, [[1, 'cat foo.txt', 'reconstructed']]);
});

test('of what keys do not tell, the last answer is waited for', () => {
  const scripted = atPrompt();
  scripted.types('\x1b[A\r');
  scripted.shows('ls');
  scripted.passes(25);
  scripted.shows(' -la');
  scripted.passes(9);
  assert.deepEqual(scripted.lines, []);
  scripted.passes(1);
  assert.deepEqual([scripted.last?.text, scripted.last?.exact], ['ls -la', true]);
});

test('a flood while a line is typed makes it uncertain, and the next one is certain again', () => {
  const scripted = atPrompt();
  scripted.echoes('l');
  scripted.shows('\x1b[?2004h');
  for (let chunk = 0; chunk < 100; chunk++) scripted.shows('noise\r\n'.repeat(1000));
  scripted.shows('$ l');
  scripted.echoes('s');
  scripted.types('\r');
  scripted.passes(150);
  assert.deepEqual([scripted.last?.text, scripted.last?.exact], ['ls', false]);
  scripted.shows('\r\n$ ');
  scripted.echoes('df');
  scripted.types('\r');
  assert.deepEqual([scripted.last?.text, scripted.last?.exact], ['df', true]);
});

test('a flood keeps what it does to the terminal: the alternate screen is not missed', () => {
  const scripted = atPrompt();
  scripted.shows('\x1b[?1049h');
  for (let chunk = 0; chunk < 100; chunk++) scripted.shows('noise\r\n'.repeat(1000));
  scripted.types('abc\r');
  assert.deepEqual(scripted.lines, []);
});

test('what the terminal answers to questions is nobody’s line', () => {
  const scripted = atPrompt();
  scripted.types('\x1b[?62;22c\x1b[12;3R\x1b]11;rgb:0000/0000/0000\x1b\\');
  scripted.echoes('ls');
  scripted.types('\x1b[I\r');
  assert.deepEqual([scripted.last?.text, scripted.last?.exact], ['ls', true]);
});

test('closed: no timer, nothing forwarded, no error', () => {
  const scripted = atPrompt();
  scripted.types('ls\r');
  scripted.terminal.close();
  assert.equal(scripted.timers, 0);
  scripted.types('x\r');
  scripted.shows('x');
  scripted.terminal.resize(10, 10);
  scripted.terminal.proceed();
  scripted.terminal.close();
  assert.equal(scripted.forwarded, 'ls');
});
