import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TerminalGuard } from '../../../../src/cli/audit/terminal/guard.ts';

/** Filtered in pieces of this size. */
function filtered(text: string, size = Infinity): string {
  const guard = new TerminalGuard();
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += Math.min(size, bytes.length))
    pieces.push(Buffer.from(guard.filter(bytes.subarray(at, at + size))));
  return Buffer.concat(pieces).toString();
}

const picture = [
  'plain é 漢字 🎉\r\n',
  '\x1b[1;38;5;196mred\x1b[0m \x1b[4:3mcurly\x1b[m',
  '\x1b[2J\x1b[H\x1b[10;20H\x1b[3A\x1b[K\x1b[?25l\x1b[?25h',
  '\x1b[?1049h\x1b[1;20r\x1b[5S\x1b[?7l\x1b[?1049l',
  '\x1b7\x1b8\x1bM\x1bD\x1b(0lqk\x1b(B\x0e\x0f\x1b#8\x1b[4 q\x1b[!p\x1bc',
].join('');

test('text, colours, cursor, scrolling and screens pass as they are', () => {
  assert.equal(filtered(picture), picture);
});

/** What steers more than the picture, between letters that must stay. */
const steering = [
  '\x1b]0;title\x07',
  '\x1b]52;c;cm0gLXJm\x1b\\',
  '\x1b]8;;https://evil.example\x1b\\',
  '\x1b]10;?\x07',
  '\x1bP$qm\x1b\\',
  '\x1bP+q544e\x1b\\',
  '\x1b_Gf=100;AAAA\x1b\\',
  '\x1b^private\x1b\\',
  '\x1bXstring\x1b\\',
  '\x1b[c',
  '\x1b[>c',
  '\x1b[=c',
  '\x1b[6n',
  '\x1b[?6n',
  '\x1b[>q',
  '\x1b[14t',
  '\x1b[8;50;200t',
  '\x1b[?1000h',
  '\x1b[?1006h',
  '\x1b[?2004h',
  '\x1b[?1004h',
  '\x1b[>1u',
  '\x1b[?u',
  '\x1b[>4;2m',
  '\x1b[?$p',
  '\x1b[5i',
  '\x1b[?5i',
  '\x1b[1;1;10;10$r',
  '\x1bZ',
  '\x1b=',
  '\x05',
  '\x7f',
  '\0',
  '\u009d0;title',
  `\x1b[${'1;'.repeat(200)}m`,
];

test('titles, the clipboard, links, printing, input modes and questions do not', () => {
  for (const sequence of steering) {
    const left = filtered(`a${sequence}b`);
    // A control character of C1 is taken away, and what followed it is text.
    const expected = sequence.startsWith('\u009d') ? `a${sequence.slice(1)}b` : 'ab';
    assert.equal(left, expected, JSON.stringify(sequence));
  }
});

test('the same wherever it is cut', () => {
  const whole = picture + steering.join('x');
  const expected = filtered(whole);
  for (const size of [1, 2, 3, 5, 7, 64]) assert.equal(filtered(whole, size), expected);
});

test('mixed modes keep those of the picture', () => {
  assert.equal(filtered('\x1b[?25;1000;1049h'), '\x1b[?25;1049h');
  assert.equal(filtered('\x1b[4;2h'), '\x1b[4h');
});

test('a line feed alone only goes down: the terminal’s driver would add a return', () => {
  assert.equal(filtered('a\r\nb\nc\n'), 'a\r\nb\x1bDc\x1bD');
  assert.equal(filtered('a\r\nb\nc\n', 1), 'a\r\nb\x1bDc\x1bD');
});

test('no bytes whatever leave a question or a string', () => {
  const bytes = fc.array(
    fc.oneof(
      fc.constantFrom(...Buffer.from('\x1b\x9b[]?>$;0159hlcntqpPX_^\\\x07\n\xc2', 'latin1')),
      fc.nat(255),
    ),
    { maxLength: 80 },
  );
  const esc = '\x1b';
  const plain = '[^\x1b\x00-\x06\x10-\x1a\x1c-\x1f\x7f]';
  const sequence = `${esc}\\[[?!]?[\\d;: ]*[A-Za-z@\`]|${esc}[78DEHMc]|${esc}[()*+#]+[0-~]`;
  const allowed = new RegExp(`^(?:${plain}|${sequence})*$`);
  const asked = new RegExp(`${esc}\\[[^A-Za-z@\`]*[cntxi]`);
  fc.assert(
    fc.property(bytes, (given) => {
      const left = new TerminalGuard().filter(Buffer.from(given)).toString('latin1');
      assert.match(left, allowed);
      assert.doesNotMatch(left, asked);
    }),
    { numRuns: 3000 },
  );
});

function after(text: string): string {
  const guard = new TerminalGuard();
  guard.filter(Buffer.from(text));
  return guard.restoring();
}

test('what was changed is put back, and nothing else', () => {
  const always = '\x1b(B\x0f\x1b[0m\x1b[?25h';
  assert.equal(after('text\x1b[31m'), always);
  assert.equal(after('\x1b[?1049h\x1b[?25l\x1b[2;5r'), `\x1b[r\x1b[?1049l\x1b[?25h${always}`);
  assert.equal(after('\x1b[?1049h\x1b[?1049l'), always);
  assert.equal(after('\x1b[2;5r\x1b[?7l'), `\x1b[?7h\x1b7\x1b[r\x1b8${always}`);
  assert.equal(after('\x1b[2;5r\x1b[?7l\x1bc'), always);
});
