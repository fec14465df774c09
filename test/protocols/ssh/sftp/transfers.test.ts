/** What the record says of a file's bytes: how many, their digest, and when there is none to tell. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  close,
  data,
  Fxp,
  handle,
  namesOf,
  onPath,
  open,
  opened,
  read,
  readable,
  request,
  started,
  status,
  string,
  write,
} from './packets.ts';
import type { Played } from './packets.ts';

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
const tagOf = ({ gate }: Played): string | null => gate.commands[0]!.outcomes[0]!.tag;

function closed(played: Played): string | null {
  assert.ok(played.ask(close(99, 'h'), status(99)));
  assert.equal(played.gate.commands[0]!.outcomes.length, 1);
  return tagOf(played);
}

function put(...pieces: [number, string][]): Played {
  const played = opened(0x1a);
  let id = 10;
  for (const [offset, text] of pieces) {
    assert.ok(played.ask(write(id, 'h', offset, text), status(id)));
    id++;
  }
  return played;
}

test('a file written from its beginning has a digest', () => {
  assert.equal(closed(put([0, 'hello '], [6, 'world'])), `11 bytes sha256:${sha256('hello world')}`);
  assert.equal(closed(put()), `0 bytes sha256:${sha256('')}`);
});

test('pieces that come early wait for those before them', () => {
  const tag = `11 bytes sha256:${sha256('hello world')}`;
  assert.equal(closed(put([6, 'world'], [0, 'hello '])), tag);
  assert.equal(closed(put([9, 'ld'], [6, 'wor'], [0, 'he'], [2, 'llo '])), tag);
});

test('one that is continued says where from', () => {
  assert.equal(
    closed(put([100, 'hello '], [106, 'world'])),
    `11 bytes from 100 sha256:${sha256('hello world')}`,
  );
});

test('holes, and what is written twice, leave no digest', () => {
  for (const pieces of [
    [
      [0, 'ab'],
      [3, 'cd'],
    ],
    [
      [0, 'ab'],
      [0, 'cd'],
    ],
    [
      [0, 'ab'],
      [1, 'cd'],
    ],
    [
      [4, 'ab'],
      [0, 'cdefg'],
    ],
    [
      [2, 'ab'],
      [2, 'cd'],
      [0, 'ef'],
    ],
  ] as [number, string][][]) {
    const bytes = pieces.reduce((sum, [, text]) => sum + text.length, 0);
    assert.equal(closed(put(...pieces)), `${bytes} bytes, not in sequence`);
  }
});

test('early pieces take no more memory than their bound; what is continued far in still has a digest', () => {
  const piece = Buffer.alloc(200_000, 1);
  const scattered = opened(0x1a);
  for (let i = 0; i < 100; i++) scattered.ask(write(1, 'h', 1 + 300_000 * i, piece), status(1));
  assert.equal(closed(scattered), '20000000 bytes, not in sequence');
  const continued = opened(0x1a);
  for (let i = 0; i < 100; i++) continued.ask(write(1, 'h', 7 + piece.length * i, piece), status(1));
  assert.equal(closed(continued), `20000000 bytes from 7 sha256:${sha256(Buffer.alloc(20_000_000, 1))}`);
});

test('what is appended says so, as the target ignores the offsets', () => {
  const played = opened(0x0e);
  for (const text of ['a', 'b']) assert.ok(played.ask(write(5, 'h', 0, text), status(5)));
  assert.equal(closed(played), `2 bytes appended sha256:${sha256('ab')}`);
});

test('a file that is read in order has a digest, with several requests at once and a short answer', () => {
  const played = opened(1);
  played.fromClient(Buffer.concat([read(1, 'h', 0, 6), read(2, 'h', 6, 6), read(3, 'h', 12, 6)]));
  played.fromTarget(Buffer.concat([data(1, 'hello '), data(2, 'wor'), status(3, 1)]));
  assert.ok(played.ask(read(4, 'h', 9, 3), data(4, 'ld')));
  assert.equal(closed(played), `11 bytes sha256:${sha256('hello world')}`);
});

test('answers in another order are put in order', () => {
  const played = opened(1);
  played.fromClient(Buffer.concat([read(1, 'h', 0, 6), read(2, 'h', 6, 6)]));
  played.fromTarget(Buffer.concat([data(2, 'world'), data(1, 'hello ')]), 3);
  assert.equal(closed(played), `11 bytes sha256:${sha256('hello world')}`);
});

test('a file for both says both', () => {
  const played = opened(3);
  assert.ok(played.ask(write(5, 'h', 0, 'ab'), status(5)));
  assert.ok(played.ask(read(5, 'h', 1, 9), data(5, 'b')));
  assert.equal(
    closed(played),
    `read 1 bytes from 1 sha256:${sha256('b')}; written 2 bytes sha256:${sha256('ab')}`,
  );
});

test('a write that the target refused makes the transfer fail, also when its close succeeds', () => {
  const played = opened(0x1a);
  assert.ok(played.ask(write(5, 'h', 0, 'ab'), status(5, 4)));
  closed(played);
  assert.deepEqual(played.gate.commands[0]!.outcomes, [
    { kind: 'failed', tag: `2 bytes sha256:${sha256('ab')}`, rows: 0, errorCode: 'SSH_FX_FAILURE' },
  ]);
});

test('a file whose close was answered before its data ends with the last answer', () => {
  const played = opened(1);
  played.fromClient(Buffer.concat([read(5, 'h', 0, 2), close(6, 'h')]));
  played.fromTarget(status(6));
  assert.equal(played.gate.commands[0]!.outcomes.length, 0);
  played.fromTarget(data(5, 'ab'));
  assert.equal(tagOf(played), `2 bytes sha256:${sha256('ab')}`);
});

test('a list counts its names', () => {
  const played = started();
  assert.ok(played.ask(onPath(Fxp.opendir, 1, '/d'), handle(1, 'h')));
  assert.ok(played.ask(request(Fxp.readdir, 2, string('h')), namesOf(2, '.', '..', 'a')));
  assert.ok(played.ask(request(Fxp.readdir, 2, string('h')), status(2, 1)));
  assert.equal(closed(played), '3 names');
});

test('what is open when the channel ends is cancelled, with what has passed', () => {
  const played = opened(0x1a);
  played.ask(open(2, '/g', 1), handle(2, 'g'));
  played.ask(write(5, 'h', 0, 'ab'), status(5));
  played.fromClient(Buffer.concat([close(7, 'h'), open(8, '/x', 1), onPath(Fxp.remove, 9, '/y')]));
  played.exchange.ended();
  played.exchange.ended();
  assert.deepEqual(played.gate.summary(), [
    `put /f → cancelled 2 bytes sha256:${sha256('ab')} 0 SSH_FX_CONNECTION_LOST`,
    `get /g → cancelled 0 bytes sha256:${sha256('')} 0 SSH_FX_CONNECTION_LOST`,
    'get /x → cancelled null 0 SSH_FX_CONNECTION_LOST',
    'remove /y → cancelled null 0 SSH_FX_CONNECTION_LOST',
  ]);
  played.fromClient(open(10, '/z', 1));
  assert.equal(played.gate.commands.length, 4, 'nothing is taken any more');
});

test('a handle may be given out again after its close, and not before', () => {
  const played = opened(1);
  assert.ok(played.ask(close(2, 'h'), status(2)));
  assert.ok(played.ask(open(3, '/g', 1), handle(3, 'h')));
  played.fromClient(open(4, '/i', 1));
  assert.throws(() => played.fromTarget(handle(4, 'h')), { code: 'sftp-unexpected-packet' });
});

test('no more files are open than the bound', () => {
  const played = started();
  for (let i = 0; i < 4096; i++) assert.ok(played.ask(open(1, '/f', 1), handle(1, `h${i}`)));
  played.fromClient(open(1, '/f', 1));
  assert.deepEqual(readable(played.client.all()), ['status 1 4 too many files are open']);
  assert.ok(played.ask(close(1, 'h7'), status(1)));
  assert.ok(played.ask(open(1, '/f', 1), handle(1, 'h7')));
});
