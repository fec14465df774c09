/** A command that waits for people, and everything that may happen meanwhile; both ends are played. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeErrorResponse } from '../../../src/protocols/postgres/messages/error.ts';
import type { Verdict } from '../../../src/gate/gate.ts';
import { error, int16, int32, message, packet, ready, script, started } from './scripted.ts';
import type { Script } from './scripted.ts';

const query = (text: string): Buffer => message('Q', `${text}\0`);
const parse = (name: string, text: string): Buffer => message('P', `${name}\0${text}\0`, int16(0));
const bind = (name: string): Buffer => message('B', `\0${name}\0`, int16(0, 0, 0));
const execute = message('E', '\0', int32(0));
const [sync, flush, terminate, parsed, bound] = [
  message('S'),
  message('H'),
  message('X'),
  message('1'),
  message('2'),
];
const complete = (tag: string): Buffer => message('C', `${tag}\0`);
const notice = { review: '01R', needed: ['dba (1)'], expiresAtMs: 0 };

const holdDelete = (text: string): Verdict => ({ kind: text.includes('delete') ? 'review' : 'allow' });
const holdAll = (): Verdict => ({ kind: 'review' });
const wiped = 'delete from t → cancelled null 0 57014';

/** A connection whose client has just sent these. */
async function holding(...sent: Buffer[]): Promise<Script> {
  const played = await started({ policy: holdDelete });
  played.client.send(Buffer.concat(sent));
  await played.settle();
  return played;
}

/** Types of the messages, in order. */
function typesOf(bytes: Buffer): string {
  let types = '';
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1))
    types += String.fromCharCode(bytes[at]!);
  return types;
}

function lastError(bytes: Buffer) {
  let body = bytes;
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1))
    if (bytes[at] === 0x45) body = bytes.subarray(at + 5, at + 1 + bytes.readUInt32BE(at + 1));
  return decodeErrorResponse(body);
}

test('people are asked once, the client hears of it at once, and nothing leaves', async () => {
  const played = await holding(query('delete from t'), query('select 1'));
  assert.deepEqual(
    played.gate.held.map(({ text }) => text),
    ['delete from t'],
  );
  assert.equal(played.client.received.length, 0);
  played.gate.held[0]!.listener.held(notice);
  await played.settle();
  assert.match(played.client.take().toString(), /held for review 01R; approve: hoop approve 01R; needs dba/);
  assert.equal(played.target.received.length, 0);
  assert.equal(played.gate.commands.length, 0, 'it is recorded when it is decided');
  assert.ok(!played.client.channel.peer.paused, 'the client is listened to: it may leave');
});

test('what was sent before is answered first; while it is not, nobody is asked', async () => {
  const played = await holding(query('select 1'), query('delete from t'));
  assert.equal(played.gate.held.length, 0);
  played.target.send(Buffer.concat([complete('SELECT 1'), ready()]));
  await played.settle();
  assert.equal(played.gate.held.length, 1);
  assert.equal(typesOf(played.client.received), 'CZ');
});

test('a command that the target would skip is not asked about', async () => {
  const played = await holding(parse('d', 'delete from t'), sync);
  played.target.send(Buffer.concat([parsed, ready()]));
  await played.settle();
  played.target.take();
  played.client.send(Buffer.concat([parse('', 'nonsense'), bind('d'), execute, sync, query('select 1')]));
  await played.settle();
  assert.equal(typesOf(played.target.take()), 'PH');
  played.target.send(error('42601'));
  await played.settle();
  assert.equal(played.gate.held.length, 0);
  assert.equal(typesOf(played.target.received), 'ESQ', 'the Bind itself never leaves');
  played.target.send(Buffer.concat([ready(), complete('SELECT 1'), ready()]));
  await played.settle();
  assert.deepEqual(played.gate.summary(), [
    'delete from t → cancelled null 0 42601',
    'select 1 → succeeded SELECT 1 0 null',
  ]);
});

test('a command inside a COPY FROM is an error, and nobody is asked', async () => {
  const played = await holding(query('copy t from stdin'));
  played.target.send(message('G', Buffer.from([0]), int16(0)));
  played.client.send(query('delete from t'));
  await played.settle();
  assert.equal(played.gate.held.length, 0);
  assert.equal(lastError(played.client.received).sqlstate, '08P01');
});

async function cancel(played: Script): Promise<Script> {
  const key = played.keyOfClient;
  const second = script({ policy: holdDelete, cancelKeys: played.cancelKeys });
  second.client.send(packet(int32(80_877_102, key.readUInt32BE(0)), key.subarray(4)));
  await second.settle();
  return second;
}

test('a cancel request ends the waiting with 57014, and does not reach the target', async () => {
  const played = await holding(query('delete from t'), query('select 1'));
  played.gate.held[0]!.listener.held(notice);
  const second = await cancel(played);
  await played.settle();
  assert.equal(second.targets.length, 0);
  assert.equal(played.gate.held[0]!.withdrawn, 'cancelled');
  assert.match(played.target.take().toString('latin1'), /^Q....refused by hoop\0Q....select 1\0$/s);
  played.target.send(Buffer.concat([error('42601'), ready(), complete('SELECT 1'), ready()]));
  await played.settle();
  const { sqlstate, message: told } = lastError(played.client.received);
  assert.deepEqual([sqlstate, told], ['57014', 'canceling statement due to user request']);
  assert.deepEqual(played.gate.summary(), [wiped, 'select 1 → succeeded SELECT 1 0 null']);
});

test('a cancel request while an earlier command runs is the target’s', async () => {
  const played = await holding(query('select pg_sleep(9)'), query('delete from t'));
  const second = await cancel(played);
  assert.equal(second.targets.length, 1);
  assert.equal(played.gate.held.length, 0);
});

for (const [how, leave, reason] of [
  ['closes its side', (played: Script) => played.client.channel.end(), 'client-disconnected'],
  ['is gone', (played: Script) => played.client.channel.destroy(), 'client-disconnected'],
  ['says Terminate', (played: Script) => played.client.send(terminate), 'terminated'],
  [
    'says Terminate behind more',
    (played: Script) => played.client.send(Buffer.concat([query('select 1'), terminate])),
    'terminated',
  ],
  [
    'says Terminate in pieces',
    (played: Script) => terminate.forEach((_, i) => played.client.send(terminate.subarray(i, i + 1))),
    'terminated',
  ],
] as const) {
  test(`the client ${how}: the review is withdrawn, and nothing leaves`, async () => {
    const played = await holding(query('delete from t'), query('select 1'));
    leave(played);
    await played.settle();
    assert.equal(played.gate.held[0]!.withdrawn, 'disconnected');
    assert.equal(played.target.received.length, 0);
    assert.ok(played.target.ended || played.target.closed);
    played.target.channel.end();
    played.client.channel.end();
    await played.relay.closed;
    assert.deepEqual(played.gate.summary(), [wiped]);
    assert.equal(played.gate.reason, reason);
  });
}

test('a Terminate that came with the command: people are not left with a question', async () => {
  const played = await holding(query('delete from t'), terminate);
  assert.equal(played.gate.held[0]!.withdrawn, 'disconnected');
  assert.equal(played.target.received.length, 0);
});

test('bytes that look like Terminate inside a message are not one', async () => {
  const played = await holding(
    query('delete from t'),
    query(`select '${terminate.toString('latin1')}'`.slice(0, 9)),
  );
  assert.equal(played.gate.held[0]!.withdrawn, null);
});

test('a client that left before it was its turn: nobody is asked', async () => {
  const played = await holding(query('select 1'), query('delete from t'), query('select 2'));
  played.client.channel.end();
  await played.settle();
  played.target.send(Buffer.concat([complete('SELECT 1'), ready()]));
  await played.settle();
  assert.equal(played.gate.held.length, 0);
  assert.doesNotMatch(played.target.received.toString(), /delete|select 2/);
  assert.ok(played.target.ended);
  assert.deepEqual(played.gate.summary(), ['select 1 → succeeded SELECT 1 0 null', wiped]);
});

test('the session ends: the review is withdrawn, and the client is told why', async () => {
  const played = await holding(query('delete from t'));
  played.relay.fail({ sqlstate: '57P01', message: 'the session has reached its deadline', hint: null });
  await played.settle();
  assert.equal(played.gate.held[0]!.withdrawn, 'session-ended');
  assert.equal(lastError(played.client.received).sqlstate, '57P01');
  assert.deepEqual(played.gate.summary(), [wiped]);
});

test('the target ends the connection meanwhile: its own error is told, and the review withdrawn', async () => {
  const played = await holding(query('delete from t'));
  played.target.send(message('E', 'SFATAL\0VFATAL\0C25P03\0Mtoo idle\0\0'));
  played.target.channel.end();
  await played.settle();
  assert.equal(played.gate.held[0]!.withdrawn, 'disconnected');
  assert.equal(lastError(played.client.received).sqlstate, '25P03');
  assert.deepEqual(played.gate.summary(), [wiped]);
});

test('what comes from the target by itself meanwhile is delivered', async () => {
  const played = await holding(query('delete from t'));
  const notification = message('A', int32(7), 'chan\0payload\0');
  played.target.send(notification);
  await played.settle();
  assert.deepEqual(played.client.received, notification);
  played.gate.decide({ kind: 'allow' });
  await played.settle();
  assert.equal(typesOf(played.target.received), 'Q');
});

test('a held command that opens a portal again: what was allowed before is not run in its place', async () => {
  const played = await holding(parse('', 'select 1'), bind(''), execute, sync);
  played.target.send(Buffer.concat([parsed, bound, complete('SELECT 1'), ready('T')]));
  played.client.send(Buffer.concat([parse('', 'delete from t'), bind(''), execute, sync]));
  played.target.send(parsed);
  await played.settle();
  played.target.take();
  played.gate.decide({ kind: 'deny', policies: [], hint: 'no' });
  await played.settle();
  assert.equal(typesOf(played.target.received), 'DES');
  played.target.send(Buffer.concat([error('26000'), ready('E')]));
  await played.settle();
  assert.deepEqual(played.gate.summary().slice(1), ['delete from t → blocked null 0 42501']);
});

test('two held commands on one connection: one after the other', async () => {
  const played = await holding(query('delete from t'), query('delete from u'));
  assert.equal(played.gate.held.length, 1);
  played.gate.decide({ kind: 'allow' });
  await played.settle();
  assert.equal(played.gate.held.length, 1, 'the first has to be answered');
  played.target.send(Buffer.concat([complete('DELETE 1'), ready()]));
  await played.settle();
  assert.equal(played.gate.held[1]!.text, 'delete from u');
  const [first, second] = played.gate.held;
  assert.notEqual(first!.given.command, second!.given.command);
});

test('a flood behind a held command makes the client wait, and is in order when it goes', async () => {
  const played = await holding(query('delete from t'));
  const padding = 'x'.repeat(100_000);
  let sent = 0;
  while (!played.client.channel.peer.paused) {
    assert.ok(sent < 20, 'a client is never made to wait');
    played.client.send(query(`select ${sent++} ${padding}`));
  }
  assert.ok(sent > 5, 'it was listened to');
  played.gate.decide({ kind: 'allow' });
  for (let i = 0; i < 40; i++) await played.settle();
  const texts = played.target.received.toString('latin1').match(/delete from t|select \d+/g);
  assert.deepEqual(texts, ['delete from t', ...Array.from({ length: sent }, (_, i) => `select ${i}`)]);
  assert.ok(!played.client.channel.peer.paused);
});

test('FunctionCall, and a statement that only SQL knows, are held like any other', async () => {
  for (const [sent, text] of [
    [message('F', int32(957), int16(0, 0, 0)), 'fastpath 957'],
    [Buffer.concat([bind('s'), execute, sync]), 'EXECUTE "s"'],
    [Buffer.concat([message('E', 'cursor\0', int32(5)), sync]), 'FETCH 5 FROM "cursor"'],
  ] as const) {
    const played = await started({ policy: holdAll });
    played.client.send(sent);
    await played.settle();
    assert.equal(played.gate.held[0]?.text, text);
    played.gate.decide({ kind: 'allow' });
    await played.settle();
    assert.deepEqual(played.target.received, sent);
  }
});

test('an approved command that came in pieces goes whole', async () => {
  const played = await started({ policy: holdDelete });
  for (const byte of Buffer.concat([query('delete from t'), flush])) {
    played.client.send(Buffer.from([byte]));
    await played.settle();
  }
  played.gate.decide({ kind: 'allow' });
  await played.settle();
  assert.deepEqual(played.target.received, Buffer.concat([query('delete from t'), flush]));
});
