/** However the bytes are cut, the same passes, and the same is recorded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FactsPolicy } from '../support.ts';
import { allow, deny, names } from '../support.ts';
import {
  attrs,
  close,
  data,
  encodePacket,
  extended,
  Fxp,
  handle,
  init,
  namesOf,
  onPath,
  open,
  Played,
  read,
  request,
  status,
  string,
  uint32,
  write,
} from './packets.ts';

const secret: FactsPolicy = (facts) => (names('/secret')(facts) ? deny : allow);

/** A session in turns: what the client sends, what the target answers. */
const turns: [Buffer, Buffer][] = [
  [init(), encodePacket(Fxp.version, uint32(3), string('fsync@openssh.com'), string('1'))],
  [Buffer.alloc(0), namesOf(0x686f6f70, '/home/ana')],
  [
    Buffer.concat([
      open(1, '/a', 0x1a),
      open(2, '/secret', 1),
      open(3, 'b', 1),
      onPath(Fxp.opendir, 4, '/d'),
    ]),
    Buffer.concat([handle(1, 'one'), handle(3, 't'), status(4, 2)]),
  ],
  [
    Buffer.concat([
      write(5, 'one', 0, 'some data'),
      write(6, 'none', 0, 'what is dropped'),
      read(7, 't', 0, 100),
      write(8, 'one', 9, ''),
      onPath(Fxp.stat, 9, '/secret'),
      write(10, 'one', 9, Buffer.alloc(300, 7)),
      read(11, 't', 5, 100),
      extended(12, 'fsync@openssh.com', string('one')),
      extended(13, 'nothing', string('one')),
    ]),
    Buffer.concat([
      status(5),
      data(7, 'bytes'),
      status(8),
      status(10),
      data(11, Buffer.alloc(80, 9)),
      status(12),
    ]),
  ],
  [
    Buffer.concat([
      request(Fxp.fstat, 1, string('t')),
      close(2, 'one'),
      close(3, 't'),
      onPath(Fxp.remove, 4, '/a'),
    ]),
    Buffer.concat([attrs(1), status(2), status(3), status(4, 3)]),
  ],
];

interface Outcome {
  readonly target: Buffer;
  readonly client: Buffer;
  readonly summary: string[];
}

function play(cut: (bytes: Buffer, give: (piece: Buffer) => void) => void): Outcome {
  const played = new Played(secret);
  for (const [sent, answered] of turns) {
    cut(sent, (piece) => played.fromClient(piece));
    cut(answered, (piece) => played.fromTarget(piece));
  }
  played.exchange.ended();
  return { target: played.target.all(), client: played.client.all(), summary: played.gate.summary() };
}

const whole = play((bytes, give) => give(bytes));

test('in one piece', () => {
  assert.deepEqual(
    whole.summary.map((line) => line.replace(/sha256:\w+/, 'sha256:…')),
    [
      'put /a → succeeded 309 bytes sha256:… 0 null',
      'get /secret → blocked null 0 SSH_FX_PERMISSION_DENIED',
      'get b → succeeded 85 bytes sha256:… 0 null',
      'list /d → failed null 0 SSH_FX_NO_SUCH_FILE',
      'stat /secret → blocked null 0 SSH_FX_PERMISSION_DENIED',
      'remove /a → failed null 0 SSH_FX_PERMISSION_DENIED',
    ],
  );
});

test('cut at every position', () => {
  const longest = Math.max(...turns.flat().map(({ length }) => length));
  for (let at = 1; at < longest; at++)
    assert.deepEqual(
      play((bytes, give) => {
        give(bytes.subarray(0, at));
        if (at < bytes.length) give(bytes.subarray(at));
      }),
      whole,
      `cut at ${at}`,
    );
});

test('in pieces of every size up to 40 bytes', () => {
  for (let size = 1; size <= 40; size++)
    assert.deepEqual(
      play((bytes, give) => {
        for (let at = 0; at < bytes.length; at += size) give(bytes.subarray(at, at + size));
      }),
      whole,
      `pieces of ${size}`,
    );
});

test('an answer of our own never stands inside a packet of the target', () => {
  const played = new Played(secret);
  for (const [sent, answered] of turns.slice(0, 3)) {
    played.fromClient(sent);
    played.fromTarget(answered);
  }
  played.client.all();
  played.fromClient(read(20, 't', 0, 4));
  const answer = data(20, 'byte');
  played.fromTarget(answer.subarray(0, 15));
  played.fromClient(onPath(Fxp.remove, 21, '/secret'));
  played.fromTarget(answer.subarray(15));
  const got = played.client.all();
  assert.deepEqual(got.subarray(0, answer.length), answer);
  assert.equal(got[answer.length + 4], Fxp.status);
});
