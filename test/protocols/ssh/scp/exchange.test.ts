/** The old scp protocol between two ends that a test plays, turn by turn. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoopError } from '../../../../src/errors.ts';
import { ScpExchange } from '../../../../src/protocols/ssh/scp/exchange.ts';
import { parseScp } from '../../../../src/protocols/ssh/scp/invocation.ts';
import type { FactsPolicy } from '../support.ts';
import { allow, deny, FileGate, lend, names, review, Sent } from '../support.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

class Played {
  readonly gate: FileGate;
  readonly target = new Sent();
  readonly client = new Sent();
  readonly exchange: ScpExchange;

  constructor(command: string, policy?: FactsPolicy, home: string | null = '/home/ana') {
    this.gate = new FileGate(policy);
    this.exchange = new ScpExchange({
      gate: this.gate,
      invocation: parseScp(command.split(' '))!,
      home,
      toTarget: this.target.take,
      toClient: this.client.take,
      awake: (work) => work(),
    });
  }

  /** Gives what one end says, cut in pieces; what the other end hears. */
  client_(text: string, size?: number): string {
    lend((chunk) => this.exchange.fromClient(chunk), Buffer.from(text, 'latin1'), size);
    return this.target.all().toString('latin1');
  }

  target_(text: string, size?: number): string {
    lend((chunk) => this.exchange.fromTarget(chunk), Buffer.from(text, 'latin1'), size);
    return this.client.all().toString('latin1');
  }
}

/** Turns that pass unchanged; `>` the client speaks, `<` the target. */
function pass(played: Played, turns: readonly string[], size?: number): void {
  for (const turn of turns) {
    const text = turn.slice(1);
    assert.equal(turn[0] === '>' ? played.client_(text, size) : played.target_(text, size), text, turn);
  }
}

const upload = ['<\0', '>T1 0 2 0\n', '<\0', '>C0644 5 a\n', '<\0', '>hello\0', '<\0'];
const tree = [
  '<\0',
  '>D0755 0 d\n',
  '<\0',
  '>C0644 0 e\n',
  '<\0',
  '>\0',
  '<\0',
  '>D0755 0 d2\n',
  '<\0',
  '>C0644 2 x y\n',
  '<\0',
  '>ab\0',
  '<\0',
  '>E\n',
  '<\0',
  '>E\n',
  '<\0',
];

test('a file that is sent is one command with its size and digest, however the bytes are cut', () => {
  for (const size of [1, 2, 3, 5, 100]) {
    const played = new Played('scp -d -t /srv');
    pass(played, upload, size);
    played.exchange.ended();
    assert.deepEqual(played.gate.summary(), [
      `put /srv/a → succeeded 5 bytes sha256:${sha256('hello')} 0 null`,
    ]);
    assert.deepEqual(played.gate.commands[0]!.facts.paths, ['/', '/srv/', '/srv/a']);
    assert.deepEqual(played.gate.commands[0]!.facts.effects, ['file', 'write']);
  }
});

test('where only the target knows whether the path is a directory, both are said and decided', () => {
  const played = new Played('scp -t /srv/x');
  pass(played, upload);
  assert.equal(played.gate.commands[0]!.text, 'put /srv/x or /srv/x/a');
  assert.deepEqual(played.gate.commands[0]!.facts.paths, ['/', '/srv/', '/srv/x', '/srv/x/', '/srv/x/a']);
  for (const [path, text] of [
    ['/srv/', 'put /srv/a'],
    ['.', 'put /home/ana/a'],
    ['~', 'put /home/ana/a'],
    ['~/q', 'put /home/ana/q or /home/ana/q/a'],
  ]) {
    const other = new Played(`scp -t ${path}`);
    pass(other, upload);
    assert.equal(other.gate.commands[0]!.text, text);
  }
});

test('directories are commands, and files in them have their paths', () => {
  const played = new Played('scp -r -p -d -t /srv');
  pass(played, tree);
  assert.deepEqual(played.gate.summary(), [
    'mkdir /srv/d → succeeded null 0 null',
    `put /srv/d/e → succeeded 0 bytes sha256:${sha256('')} 0 null`,
    'mkdir /srv/d/d2 → succeeded null 0 null',
    `put '/srv/d/d2/x y' → succeeded 2 bytes sha256:${sha256('ab')} 0 null`,
  ]);
});

test('a file that is fetched is the one that was asked for', () => {
  const played = new Played('scp -f /etc/motd');
  pass(played, ['>\0', '<C0644 2 motd\n', '>\0', '<ab\0', '>\0']);
  assert.deepEqual(played.gate.summary(), [
    `get /etc/motd → succeeded 2 bytes sha256:${sha256('ab')} 0 null`,
  ]);
  for (const [asked, name] of [
    ['/etc/motd', 'shadow'],
    ['/etc/a b', 'c'],
  ] as const) {
    const other = new Played(`scp -f ${asked}`);
    other.client_('\0');
    assert.throws(() => other.target_(`C0644 2 ${name}\n`), { code: 'scp-unsafe-name' });
  }
});

test('patterns: the name tells which file; where the directory is one, what it does is unknown', () => {
  for (const [asked, text, effects] of [
    ['/var/log/*.log', 'get /var/log/x.log', 'file read'],
    ['*', 'get /home/ana/x.log', 'file read'],
    ['/var/*/x.log', 'get /var/*/x.log', 'file unknown'],
    ['~bob/x.log', 'get /home/ana/~bob/x.log', 'file unknown'],
    ['$X', 'get /home/ana/x.log', 'file unknown'],
  ]) {
    const played = new Played(`scp -f ${asked}`);
    pass(played, ['>\0', '<C0644 0 x.log\n']);
    assert.equal(played.gate.commands[0]!.text, text);
    assert.equal(played.gate.commands[0]!.facts.effects.join(' '), effects);
  }
});

test('bytes of names that are not UTF-8 stand in the text', () => {
  const played = new Played('scp -d -t /srv');
  pass(played, ['<\0', '>C0644 0 a\xff\n']);
  assert.equal(played.gate.commands[0]!.text, String.raw`put $'/srv/a\xff'`);
});

const secret: FactsPolicy = (facts) => (names('/srv/s')(facts) ? deny : allow);

test('a denied upload is answered to the client, which goes on with its next file', () => {
  const played = new Played('scp -d -t /srv', secret);
  pass(played, ['<\0']);
  assert.equal(played.client_('C0644 5 s\n'), '');
  assert.equal(
    played.client.all().toString(),
    '\x01scp: put /srv/s: permission denied by policy no-secrets. Ask the keeper.\n',
  );
  pass(played, upload.slice(1));
  assert.deepEqual(
    played.gate.commands.map(({ text, outcomes }) => [text, outcomes[0]!.kind]),
    [
      ['put /srv/s', 'blocked'],
      ['put /srv/a', 'succeeded'],
    ],
  );
});

test('a denied download is told to both ends, and not a byte of the file passes', () => {
  const played = new Played('scp -f /srv/s /srv/b', secret);
  pass(played, ['>\0']);
  const told = played.target_('C0644 5 s\n');
  assert.ok(told.startsWith('\x01scp: get /srv/s: permission denied by policy no-secrets'), told);
  assert.equal(played.target.all().toString(), told);
  pass(played, ['<C0644 1 b\n', '>\0', '<b\0', '>\0']);
  assert.throws(() => played.client_('\0'), { code: 'scp-out-of-turn' });
});

test('a held file waits with its sender; approved it goes on, rejected it is refused, at the end it is withdrawn', () => {
  const line = 'C0644 5 s\n';
  const held = (): Played => {
    const played = new Played('scp -d -t /srv', () => review);
    pass(played, ['<\0']);
    assert.equal(played.client_(line), '');
    assert.equal(played.gate.held[0]!.text, 'put /srv/s');
    return played;
  };
  const approved = held();
  approved.gate.decide(allow);
  assert.equal(approved.target.all().toString(), line);
  pass(approved, ['<\0', '>hello\0', '<\0']);
  assert.match(approved.gate.summary()[0]!, /^put \/srv\/s → succeeded 5 bytes/);
  const rejected = held();
  rejected.gate.decide(deny);
  assert.equal(rejected.target.all().length, 0);
  assert.ok(rejected.client.all().toString().startsWith('\x01scp: put /srv/s: permission denied'));
  const left = held();
  left.exchange.ended();
  assert.equal(left.gate.held[0]!.withdrawn, 'disconnected');
  assert.deepEqual(left.gate.summary(), ['put /srv/s → cancelled null 0 withdrawn']);
  const pushing = held();
  assert.throws(() => pushing.client_('hello'), { code: 'scp-out-of-turn' });
});

test('errors of either end: the file has failed, and the transfer goes on', () => {
  const played = new Played('scp -d -t /srv');
  pass(played, [
    '<\0',
    '>\x01no such file\n',
    '>C0644 2 a\n',
    '<\x01disk full\n',
    '>C0644 2 b\n',
    '<\0',
    '>ab\x01read error\n',
  ]);
  pass(played, ['<\0', '>C0644 2 c\n', '<\0', '>ab\0', '<\x02gone\n']);
  assert.deepEqual(
    played.gate.commands.map(({ text, outcomes: [{ kind, errorCode } = {}] }) => [text, kind, errorCode]),
    [
      ['put /srv/a', 'failed', 'SCP_ERROR'],
      ['put /srv/b', 'failed', 'SCP_ERROR'],
      ['put /srv/c', 'failed', 'SCP_FATAL'],
    ],
  );
});

test('what ends in the middle is cancelled, with what has passed', () => {
  const played = new Played('scp -d -t /srv');
  pass(played, ['<\0', '>C0644 9 a\n', '<\0', '>ab']);
  played.exchange.ended();
  played.exchange.ended();
  const tag = `2 bytes sha256:${sha256('ab')}`;
  assert.deepEqual(played.gate.summary(), [`put /srv/a → cancelled ${tag} 0 SCP_CONNECTION_LOST`]);
  assert.equal(played.client_('cd'), '');
});

const bad = (command: string, turns: readonly string[], last: string, code: string): void => {
  const played = new Played(command);
  pass(played, turns);
  const say = last[0] === '>' ? () => played.client_(last.slice(1)) : () => played.target_(last.slice(1));
  assert.throws(say, { code }, last);
  assert.equal(played.target.all().length + played.client.all().length, 0);
};

test('lines that are none, names that lead elsewhere, and bytes out of turn end the channel', () => {
  for (const name of ['../x', 'a/b', '.', '..'])
    bad('scp -t /srv', ['<\0'], `>C0644 1 ${name}\n`, 'scp-unsafe-name');
  for (const line of [
    'C0644 1\n',
    'C0944 1 a\n',
    'C0644 -1 a\n',
    'C0644 9999999999999999 a\n',
    'T1 2\n',
    'E\n',
    '\n',
    'X\n',
    '\0',
  ])
    bad('scp -r -t /srv', ['<\0'], `>${line}`, 'scp-malformed-line');
  bad('scp -t /srv', ['<\0'], '>D0755 0 d\n', 'scp-malformed-line');
  bad('scp -t /srv', ['<\0'], `>C0644 1 ${'a'.repeat(2048)}`, 'scp-malformed-line');
  bad('scp -t /srv', [], '>C0644 1 a\n', 'scp-out-of-turn');
  bad('scp -t /srv', ['<\0'], '<\0', 'scp-out-of-turn');
  bad('scp -t /srv', [], '<x', 'scp-malformed-line');
  bad('scp -t /srv', ['<\0', '>C0644 1 a\n', '<\0', '>a'], '>b', 'scp-malformed-line');
});

const parsed = (command: string) => parseScp(command.split(' '));

test('only what scp runs at the other end is one', () => {
  assert.deepEqual(parsed('scp -r -p -t -- -x'), {
    direction: 'to',
    recursive: true,
    intoDirectory: false,
    paths: ['-x'],
  });
  assert.deepEqual(parsed('/usr/bin/scp -vdf a b')?.paths, ['a', 'b']);
  for (const other of [
    'scp a b:c',
    'scp -t',
    'scp -t a b',
    'scp -tf a',
    'scp -S sh -t a',
    'xscp -t a',
    'cat',
  ])
    assert.equal(parsed(other), null, other);
});

test('whatever the ends say, it is an error or nothing, and the other end hears no more than was said', () => {
  const piece = fc.oneof(
    fc.constantFrom('\0', '\x01', '\x02', '\n', 'E\n', 'C0644 3 a\n', 'D0755 0 d\n', 'T1 0 2 0\n', 'abc'),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const turns = fc.array(fc.tuple(fc.boolean(), piece), { maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom('scp -r -t /srv', 'scp -r -f *'), turns, (command, said) => {
      const played = new Played(command, secret);
      let heard = '';
      let spoken = 0;
      try {
        for (const [client, text] of said) {
          spoken += text.length;
          heard += client ? played.client_(text) : played.target_(text);
        }
      } catch (error) {
        assert.ok(error instanceof HoopError, String(error));
      }
      played.exchange.ended();
      assert.ok(heard.length <= spoken);
      for (const { outcomes } of played.gate.commands) assert.equal(outcomes.length, 1);
    }),
    { numRuns: 1000 },
  );
});
