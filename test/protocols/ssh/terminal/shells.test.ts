/**
 * Command lines of real shells under a real terminal: what a person does at a prompt, and what is told of it.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { deniedNotice, heldNotice } from '../../../../src/protocols/ssh/terminal/notices.ts';
import { postgresMissing, startPostgres } from '../../../support/postgres.ts';
import { missing } from '../../../support/programs.ts';
import { ShellUnderTest } from './shell.ts';
import type { ShellOptions } from './shell.ts';

const skip = missing('shells');

interface Shell {
  readonly name: string;
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  /** Ends what a shell shows when it waits for a line. */
  readonly prompt: RegExp;
}

const shells: Shell[] = [
  {
    name: 'bash',
    command: ['bash', '--rcfile', '.rc', '-i'],
    files: { '.rc': String.raw`PS1='\[\e[1;32m\]bash\[\e[m\]:\w> '` },
    prompt: /:~> $/,
  },
  {
    name: 'bash-without-brackets',
    command: ['bash', '--rcfile', '.rc', '-i'],
    files: { '.rc': `PS1='bash> '`, '.inputrc': 'set enable-bracketed-paste off\n' },
    prompt: /bash> $/,
  },
  {
    name: 'zsh',
    command: ['zsh', '-i'],
    files: {
      '.zshrc': `PS1='%F{red}zsh%f> '; RPROMPT='right %~'; bindkey -e; autoload -Uz compinit; compinit -u; HISTFILE=`,
    },
    prompt: /2004h$/,
  },
  { name: 'fish', command: ['fish', '-i'], files: {}, prompt: /[#>] [^\n]*$/ },
  { name: 'dash', command: ['dash', '-i'], files: {}, prompt: /[#$] $/ },
];

function started({ command, files }: Shell, options: ShellOptions = {}): ShellUnderTest {
  return new ShellUnderTest(command, { ...options, files: { ...files, ...options.files } });
}

/** Each asks `ready>` with the echo off; in the line itself it stands otherwise. */
const passwords: Readonly<Record<string, string>> = {
  bash: 'read -s -p "re""ady>" pw',
  zsh: 'read -s "pw?re""ady>"',
  fish: 'read -s -P "re""ady>" pw',
  dash: 'stty -echo; printf "re""ady>"; read pw; stty echo',
};

for (const shell of shells) {
  const editor = shell.name !== 'dash';
  const run = async (terminal: ShellUnderTest, line: string): Promise<void> => {
    const told = terminal.lines.length;
    await terminal.run(line, new RegExp(String.raw`[\r\n][^]*${shell.prompt.source}`));
    await terminal.until(() => terminal.lines.length > told);
  };

  test(`${shell.name}: typed, pasted and wrapped lines`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    const lines = [
      'echo hello',
      'echo two  blanks "and quotes"',
      `echo ${'long '.repeat(50)}end`,
      `echo ${'日本'.repeat(30)} ü`,
      'true',
    ];
    for (const line of lines) await run(terminal, `${line}\r`);
    assert.deepEqual(terminal.texts, lines);
    assert.ok(terminal.lines.every(({ exact, hidden }) => exact && !hidden));
    assert.deepEqual(terminal.differing, []);
  });

  test(`${shell.name}: several lines at once are told one by one, before each goes`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    terminal.type('echo one\recho two\recho three\r');
    await terminal.until(() => terminal.lines.length === 3);
    assert.deepEqual(terminal.texts, ['echo one', 'echo two', 'echo three']);
    await terminal.shows(new RegExp(String.raw`(?:[\r\n]|[#$] )three\r\n[^]*${shell.prompt.source}`));
  });

  test(`${shell.name}: a denied line does not run, and the shell goes on`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    await run(terminal, 'echo first\r');
    terminal.decide = ({ text }) => {
      if (!text.startsWith('touch')) return 'allow';
      terminal.notice(deniedNotice(['no-touch'], null));
      return 'deny';
    };
    await run(terminal, 'touch denied\r');
    await run(terminal, 'echo second\r');
    assert.deepEqual(terminal.texts, ['echo first', 'touch denied', 'echo second']);
    assert.ok(!readdirSync(terminal.home).includes('denied'));
  });

  test(`${shell.name}: a line waits, is withdrawn, waits again and goes`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    terminal.decide = ({ text }) => {
      if (!text.startsWith('touch')) return 'allow';
      terminal.notice(heldNotice({ review: 'r1', needed: ['leads (1)'] }));
      return 'wait';
    };
    await terminal.run('touch withdrawn\r', 'held for review r1');
    await terminal.run('\x03', shell.prompt);
    assert.deepEqual(terminal.withdrawn, [1]);
    await terminal.run('touch approved\r', 'held for review r1');
    terminal.terminal.proceed();
    await run(terminal, 'echo after\r');
    assert.deepEqual(terminal.texts, ['touch withdrawn', 'touch approved', 'echo after']);
    assert.ok(readdirSync(terminal.home).includes('approved'));
    assert.ok(!readdirSync(terminal.home).includes('withdrawn'));
  });

  test(`${shell.name}: lines of a loop, each as it is typed`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    const loop =
      shell.name === 'fish' ? ['for n in 1 2', 'echo n$n', 'end'] : ['for n in 1 2', 'do echo n$n', 'done'];
    for (const line of loop.slice(0, -1))
      await terminal.run(`${line}\r`, /\n[^\n]*(> |\s{5,}|\[\d+C)[^\n]*$/);
    await run(terminal, `${loop.at(-1)}\r`);
    assert.deepEqual(terminal.texts, loop);
  });

  test(`${shell.name}: a password is not told`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    const ask = passwords[shell.name.split('-')[0]!]!;
    terminal.type(`${ask}\r`);
    await terminal.until(() => terminal.lines.length === 1);
    // What is typed before the shell asks is echoed by the terminal itself.
    await terminal.shows('ready>');
    for (const character of 'geheim') terminal.type(character);
    terminal.type('\r');
    await terminal.until(() => terminal.lines.length === 2);
    assert.deepEqual(terminal.texts, [ask, '']);
    assert.equal(terminal.lines[1]!.hidden, true);
    await terminal.until(() => terminal.terminal.waitingBytes === 0);
  });

  test(`${shell.name}: no lines in an editor and a pager`, { skip }, async () => {
    using terminal = started(shell, { files: { text: 'one\ntwo\n' } });
    await terminal.shows(shell.prompt);
    await terminal.run('vim -u NONE text\r', /1049h[^]*one/);
    await terminal.run('ihello\rworld\x1b', 'world');
    await terminal.run(':q!\r', new RegExp(`1049l[^]*${shell.prompt.source}`));
    await terminal.run('less text\r', /1049h[^]*END/);
    terminal.type('\r\r');
    await terminal.run('q', new RegExp(`1049l[^]*${shell.prompt.source}`));
    await run(terminal, 'echo back\r');
    assert.deepEqual(terminal.texts, ['vim -u NONE text', 'less text', 'echo back']);
  });

  if (!editor) continue;

  test(`${shell.name}: history, completion, movement, killing`, { skip }, async () => {
    using terminal = started(shell, { files: { 'file-abc': '', 'file-abd': '' } });
    await terminal.shows(shell.prompt);
    await run(terminal, 'echo hello\r');
    await terminal.run('\x1b[A', 'hello');
    await run(terminal, ' world\r');
    await terminal.run('echo fi\t', 'ab');
    await run(terminal, 'c\r');
    await terminal.run('echo aaa bbb\x17ccc\x01X\x1b[C', /X/);
    await run(terminal, 'Y\r');
    await terminal.run('echo left\x1b[D\x1b[D', 'left');
    await run(terminal, '\r');
    await run(terminal, 'echo killed\x15echo kept\r');
    assert.deepEqual(terminal.texts, [
      'echo hello',
      'echo hello world',
      'echo file-abc',
      'XeYcho aaa ccc',
      'echo left',
      'echo kept',
    ]);
    assert.ok(terminal.lines.every(({ hidden }) => !hidden));
  });
}

for (const shell of shells.filter(({ name }) => name === 'bash' || name === 'zsh'))
  test(`${shell.name}: Ctrl-R, Ctrl-L, a paste of several lines, typing ahead`, { skip }, async () => {
    using terminal = started(shell);
    await terminal.shows(shell.prompt);
    const next = new RegExp(String.raw`\n[^]*${shell.prompt.source}`);
    await terminal.run('echo needle in hay\r', next);
    await terminal.run('true\r', next);
    await terminal.run('\x12nee', /e_|dle/);
    await terminal.run('\r', next);
    await terminal.run('echo be', 'be');
    await terminal.run('\x0c', /\[2?J/);
    await terminal.run('fore\r', next);
    await terminal.run('\x1b[200~echo p1\recho p2\recho p3\x1b[201~', 'p3');
    await terminal.run('\r', next);
    await terminal.run('sleep 0.3\r', 'sleep');
    terminal.type('echo ahead\r');
    await terminal.shows(/ahead[^]*[\r\n]ahead/);
    assert.deepEqual(terminal.texts, [
      'echo needle in hay',
      'true',
      'echo needle in hay',
      'echo before',
      'echo p1\necho p2\necho p3',
      'sleep 0.3',
      'echo ahead',
    ]);
    assert.deepEqual(terminal.differing, []);
  });

test('fish: what it proposes is not part of the line', { skip }, async () => {
  const fish = shells.find(({ name }) => name === 'fish')!;
  using terminal = started(fish);
  await terminal.shows(fish.prompt);
  const next = new RegExp(String.raw`\n[^]*${fish.prompt.source}`);
  await terminal.run('echo hello world\r', next);
  await terminal.run('echo he', /he[^]*llo world/);
  await terminal.run('\r', next);
  await terminal.run('echo hell', /hell[^]*o world/);
  await terminal.run('\x1b[C', /world/);
  await terminal.run('\r', next);
  assert.deepEqual(terminal.texts, ['echo hello world', 'echo he', 'echo hello world']);
});

const marks: [Shell, string][] = [
  [
    { name: 'bash', command: ['bash', '--rcfile', '.rc', '-i'], files: {}, prompt: /133;B/ },
    String.raw`
PS1='\[\e]133;A\a\]\[\e[1;34m\]marked\[\e[m\] \$ \[\e]133;B\a\]'
PS0='\e]133;C\a'
PROMPT_COMMAND='printf "\e]133;D;%s\a" "$?"'
`,
  ],
  [
    { name: 'bash-trap', command: ['bash', '--rcfile', '.rc', '-i'], files: {}, prompt: /633;B/ },
    String.raw`
PS1='\[\e]633;A\a\]\$ \[\e]633;B\a\]'
in_prompt=1
before() { if [ -z "$in_prompt" ]; then in_prompt=1; printf '\e]633;E;%s\a\e]633;C\a' "$(history 1 | sed 's/^ *[0-9]* *//; s/\\/\\\\/g; s/;/\\x3b/g')"; fi; }
trap before DEBUG
PROMPT_COMMAND='printf "\e]633;D;%s\a" "$?"; in_prompt='
`,
  ],
  [
    { name: 'zsh', command: ['zsh', '-i'], files: {}, prompt: /133;B/ },
    String.raw`
PS1=$'%{\e]133;A\a%}%F{blue}marked%f %{\e]133;B\a%}'
precmd() { printf '\e]133;D;%s\a' $? }
preexec() { printf '\e]133;C\a' }
`,
  ],
];

for (const [shell, configuration] of marks)
  test(`${shell.name} that marks its prompts: exact lines and exit codes`, { skip }, async () => {
    using terminal = started(shell, { files: { '.rc': configuration, '.zshrc': configuration } });
    await terminal.shows(shell.prompt);
    for (const line of ['true', 'sh -c "exit 7"; sh -c "exit 3"', '\x1b[A', 'echo last']) {
      if (line.startsWith('\x1b')) await terminal.run(line, 'exit 7');
      await terminal.run(line.startsWith('\x1b') ? '\r' : `${line}\r`, shell.prompt);
      await terminal.until(() => terminal.finished.length === terminal.lines.length);
    }
    assert.deepEqual(terminal.texts, [
      'true',
      'sh -c "exit 7"; sh -c "exit 3"',
      'sh -c "exit 7"; sh -c "exit 3"',
      'echo last',
    ]);
    assert.ok(terminal.lines.every(({ how, exact }) => how === 'marked' && exact));
    assert.deepEqual(terminal.finished, [
      [1, 0],
      [2, 3],
      [3, 3],
      [4, 0],
    ]);
    assert.deepEqual(terminal.differing, []);
  });

test('a shell whose echo was switched off: hidden, and nothing of it told', { skip }, async () => {
  const dash = shells.find(({ name }) => name === 'dash')!;
  using terminal = started(dash);
  await terminal.shows(dash.prompt);
  await terminal.run('stty -echo\r', /\n[^]*[#$] $/);
  await terminal.run('touch unseen\r', dash.prompt);
  assert.deepEqual(terminal.texts, ['stty -echo', '']);
  assert.deepEqual(
    terminal.lines.map(({ hidden }) => hidden),
    [false, true],
  );
});

test(
  'a program that reads lines itself: they are told like a shell’s, and a denied one leaves it usable',
  { skip },
  async () => {
    using terminal = new ShellUnderTest(['python3', '-q']);
    await terminal.shows('>>> ');
    await terminal.run('1 + 1\r', /2\r\n>>> /);
    terminal.decide = ({ text }) => (text.includes('open') ? 'deny' : 'allow');
    await terminal.run('open("denied", "w")\r', />>> $/);
    await terminal.run('2 + 3\r', /5\r\n[^]*>>> /);
    assert.deepEqual(terminal.texts, ['1 + 1', 'open("denied", "w")', '2 + 3']);
    assert.ok(!readdirSync(terminal.home).includes('denied'));
  },
);

test(
  'psql: its lines are told, a denied one does not run, and it goes on',
  { skip: skip || postgresMissing },
  async () => {
    const server = await startPostgres();
    try {
      using terminal = new ShellUnderTest([`${server.binDir}/psql`, '-X', server.url()], {
        environment: { PAGER: '' },
      });
      await terminal.shows('=> ');
      await terminal.run('select 40 + 2;\r', /42[^]*=> /);
      terminal.decide = ({ text }) => (text.includes('drop') ? 'deny' : 'allow');
      await terminal.run('create table kept (n int);\r', /CREATE TABLE[^]*=> /);
      await terminal.run('drop table kept;\r', /\n[^]*=> $/);
      await terminal.run('select count(*) from kept;\r', /1 row[^]*=> /);
      assert.deepEqual(terminal.texts, [
        'select 40 + 2;',
        'create table kept (n int);',
        'drop table kept;',
        'select count(*) from kept;',
      ]);
    } finally {
      await server.stop();
    }
  },
);
