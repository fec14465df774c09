/**
 * Every frontend and every backend message, cut at every point: what is forwarded, delivered, recorded and concluded
 * is the same absolute value wherever the cut is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { error, int16, int32, message, ready, started } from './scripted.ts';
import type { FinalVerdict } from '../../../src/gate/gate.ts';
import type { Policy } from './support.ts';

interface Step {
  readonly from: 'client' | 'target' | 'people';
  readonly bytes: Buffer;
  /** What people say of the held command, after they were asked. */
  readonly verdict?: FinalVerdict;
}
interface Dialogue {
  readonly name: string;
  readonly steps: Step[];
  readonly summary: string[];
  readonly policy?: Policy;
  /** What the other side gets where it is not what was sent. */
  readonly forwarded?: RegExp;
  readonly delivered?: Buffer;
}

const client = (...messages: Buffer[]): Step => ({ from: 'client', bytes: Buffer.concat(messages) });
const target = (...messages: Buffer[]): Step => ({ from: 'target', bytes: Buffer.concat(messages) });
const people = (verdict: FinalVerdict): Step => ({ from: 'people', bytes: Buffer.alloc(0), verdict });

const query = (text: string): Buffer => message('Q', `${text}\0`);
const parse = (name: string, text: string): Buffer => message('P', `${name}\0${text}\0`, int16(1), int32(23));
const bind = (portal: string, statement: string): Buffer =>
  message('B', `${portal}\0${statement}\0`, int16(1, 1, 1), int32(4, 7), int16(1, 0));
const describe = (kind: 'S' | 'P', name: string): Buffer => message('D', `${kind}${name}\0`);
const execute = (portal: string, rows = 0): Buffer => message('E', `${portal}\0`, int32(rows));
const close = (kind: 'S' | 'P', name: string): Buffer => message('C', `${kind}${name}\0`);
const [flush, sync] = [message('H'), message('S')];

const rowDescription = message(
  'T',
  int16(1),
  'a\0',
  int32(16384),
  int16(1),
  int32(23),
  int16(4),
  int32(-1),
  int16(0),
);
const row = (text: string): Buffer => message('D', int16(1), int32(text.length), text);
const complete = (tag: string): Buffer => message('C', `${tag}\0`);
const [parsed, bound, closed, noData, suspended, empty] = ['1', '2', '3', 'n', 's', 'I'].map((type) => message(type)) as [
  Buffer, Buffer, Buffer, Buffer, Buffer, Buffer,
]; // prettier-ignore
const parameterDescription = message('t', int16(1), int32(23));
const notice = message('N', 'SNOTICE\0C00000\0Mhi\0\0');
const notification = message('A', int32(7), 'chan\0payload\0');
const parameterStatus = message('S', 'TimeZone\0UTC\0');
const copyFormat = Buffer.concat([Buffer.from([0]), int16(1, 0)]);

const denyDelete: Policy = (text) =>
  text.includes('delete') ? { kind: 'deny', policies: ['p1'], hint: 'ask' } : { kind: 'allow' };
const denied = message('E', 'SERROR\0VERROR\0C42501\0Mpermission denied by policy\0DPolicy: p1\0Hask\0\0');

const holdDelete: Policy = (text) => ({ kind: text.includes('delete') ? 'review' : 'allow' });
const notice1 = { review: '01R', needed: ['dba (1)', 'security (2)'], expiresAtMs: Date.UTC(2026, 0, 2) };
const held = message(
  'N',
  'SNOTICE\0VNOTICE\0C00000\0Mhoop: held for review 01R; approve: hoop approve 01R; needs dba (1), security (2); ' +
    'until 2026-01-02T00:00:00.000Z\0\0',
);
const rejected = message(
  'E',
  'SERROR\0VERROR\0C42501\0Mpermission denied in review 01R\0DPolicy: p1\0Hnot today\0\0',
);
const approve = people({ kind: 'allow' });
const reject = people({ kind: 'deny', policies: ['p1'], hint: 'not today' });

const dialogues: Dialogue[] = [
  {
    name: 'simple query, several statements, everything asynchronous',
    steps: [
      client(query('select 1; select 2'), query(''), query('bad')),
      target(notification, rowDescription, row('1'), row(''), notice, complete('SELECT 2'), rowDescription),
      target(complete('SELECT 0'), parameterStatus, ready(), empty, ready('T'), error('42601'), ready('E')),
    ],
    summary: [
      'select 1; select 2 → succeeded SELECT 2; SELECT 0 2 null',
      ' → succeeded null 0 null',
      'bad → failed null 0 42601',
    ],
  },
  {
    name: 'extended query: every message, a portal in two parts, a failed pipeline',
    steps: [
      client(
        parse('s', 'select $1'),
        describe('S', 's'),
        flush,
        bind('', 's'),
        describe('P', ''),
        execute('', 1),
        sync,
      ),
      target(
        parsed,
        parameterDescription,
        rowDescription,
        bound,
        rowDescription,
        row('7'),
        suspended,
        ready('T'),
      ),
      client(
        execute(''),
        close('P', ''),
        sync,
        bind('p', 's'),
        execute('p'),
        bind('', 's'),
        execute(''),
        sync,
      ),
      target(row('8'), complete('SELECT 1'), closed, ready('T'), bound, error('22012'), ready('E')),
      client(close('S', 's'), sync, parse('', 'begin'), bind('', ''), describe('P', ''), execute(''), sync),
      target(closed, ready('E'), parsed, bound, noData, empty, ready()),
    ],
    summary: [
      'select $1 → succeeded SELECT 1 2 null',
      'select $1 → failed null 0 22012',
      'select $1 → cancelled null 0 22012',
      'begin → succeeded null 0 null',
    ],
  },
  {
    name: 'COPY in, complete and failed; COPY out',
    steps: [
      client(query('copy t from stdin')),
      target(message('G', copyFormat)),
      client(message('d', 'one\n'), message('d', 'two\n'), message('d'), message('c')),
      target(complete('COPY 2'), ready()),
      client(query('copy u from stdin')),
      target(message('G', copyFormat)),
      client(message('d', 'three\n'), message('f', 'changed my mind\0')),
      target(error('57014'), ready()),
      client(query('copy t to stdout')),
      target(message('H', copyFormat), message('d', 'one\n'), message('d', 'two\n'), message('c')),
      target(complete('COPY 2'), ready()),
    ],
    summary: [
      'copy t from stdin → succeeded COPY 2 0 null',
      'copy u from stdin → cancelled null 0 57014',
      'copy t to stdout → succeeded COPY 2 2 null',
    ],
  },
  {
    name: 'COPY in by the extended protocol: its Sync is swallowed',
    steps: [
      client(parse('', 'copy t from stdin'), bind('', ''), execute(''), sync),
      target(parsed, bound, message('G', copyFormat)),
      client(message('d', 'one\n'), message('c'), sync),
      target(complete('COPY 1'), ready()),
      client(query('select 1')),
      target(rowDescription, complete('SELECT 0'), ready()),
    ],
    summary: ['copy t from stdin → succeeded COPY 1 0 null', 'select 1 → succeeded SELECT 0 0 null'],
  },
  {
    name: 'function call',
    steps: [
      client(message('F', int32(957), int16(1, 1, 1), int32(4, 5), int16(1))),
      target(message('V', int32(4, 5)), ready()),
      client(message('F', int32(958), int16(0, 0, 0))),
      target(error('42883'), ready()),
    ],
    summary: ['fastpath 957 → succeeded null 0 null', 'fastpath 958 → failed null 0 42883'],
  },
  {
    name: 'commit fails at Sync: so does the command that had completed',
    steps: [
      client(parse('', 'insert'), bind('', ''), execute(''), sync),
      target(parsed, bound, complete('INSERT 0 1'), error('23503'), ready()),
    ],
    summary: ['insert → failed INSERT 0 1 0 23503'],
  },
  {
    name: 'refused by policy: replaced towards the target, told to the client',
    policy: denyDelete,
    steps: [
      client(query('select 1'), query('delete'), query('select 2')),
      target(rowDescription, complete('SELECT 0'), ready(), error('42601'), ready(), complete('X'), ready()),
      client(parse('', 'delete'), bind('', ''), execute(''), sync),
      target(parsed, error('26000'), ready()),
    ],
    forwarded: /select 1\0.*refused by hoop\0.*select 2\0.*delete\0.*Srefused by hoop [0-9a-f]{32}\0/s,
    delivered: Buffer.concat([rowDescription, complete('SELECT 0'), ready(), denied, ready(), complete('X'), ready(), parsed, denied, ready()]), // prettier-ignore
    summary: [
      'select 1 → succeeded SELECT 0 0 null',
      'delete → blocked null 0 42501',
      'select 2 → succeeded X 0 null',
      'delete → blocked null 0 42501',
    ],
  },
  {
    name: 'held: approved, rejected; what is sent behind waits',
    policy: holdDelete,
    steps: [
      client(query('delete 1'), query('select 1')),
      approve,
      target(complete('DELETE 1'), ready(), complete('SELECT 0'), ready()),
      client(query('delete 2'), query('select 2')),
      reject,
      target(error('42601'), ready(), complete('SELECT 0'), ready()),
    ],
    forwarded: /^Q....delete 1\0Q....select 1\0Q....refused by hoop\0Q....select 2\0$/s,
    delivered: Buffer.concat([held, complete('DELETE 1'), ready(), complete('SELECT 0'), ready(), held, rejected, ready(), complete('SELECT 0'), ready()]), // prettier-ignore
    summary: [
      'delete 1 → succeeded DELETE 1 0 null',
      'select 1 → succeeded SELECT 0 0 null',
      'delete 2 → blocked null 0 42501',
      'select 2 → succeeded SELECT 0 0 null',
    ],
  },
  {
    name: 'held in a pipeline: people are asked when everything before it is answered',
    policy: holdDelete,
    steps: [
      client(
        parse('', 'select 1'),
        bind('', ''),
        execute(''),
        parse('d', 'delete'),
        describe('S', 'd'),
        bind('', 'd'),
        describe('P', ''),
        execute(''),
        sync,
        query('select 2'),
      ),
      target(parsed, bound, complete('SELECT 0'), parsed, parameterDescription, noData),
      approve,
      target(bound, noData, complete('DELETE 1'), ready(), complete('SELECT 0'), ready()),
    ],
    forwarded:
      /^P.*select 1\0.*B.*E.*P.*delete\0.*D....Sd\0H\0\0\0.B....\0d\0.*D....P\0E.*S\0\0\0.Q....select 2\0$/s,
    delivered: Buffer.concat([parsed, bound, complete('SELECT 0'), parsed, parameterDescription, noData, held, bound, noData, complete('DELETE 1'), ready(), complete('SELECT 0'), ready()]), // prettier-ignore
    summary: [
      'select 1 → succeeded SELECT 0 0 null',
      'delete → succeeded DELETE 1 0 null',
      'select 2 → succeeded SELECT 0 0 null',
    ],
  },
  {
    name: 'rejected in a pipeline: the target skips to Sync',
    policy: holdDelete,
    steps: [
      client(parse('', 'delete'), bind('', ''), execute(''), sync, query('select 2')),
      target(parsed),
      reject,
      target(error('26000'), ready('E'), complete('SELECT 0'), ready('E')),
    ],
    forwarded: /^P.*delete\0.*H\0\0\0.D....Srefused by hoop [0-9a-f]{32}\0E.*S\0\0\0.Q....select 2\0$/s,
    delivered: Buffer.concat([parsed, held, rejected, ready('E'), complete('SELECT 0'), ready('E')]),
    summary: ['delete → blocked null 0 42501', 'select 2 → succeeded SELECT 0 0 null'],
  },
];

async function play(dialogue: Dialogue, pieces: (step: Step, index: number) => Buffer[]): Promise<void> {
  const played = await started(dialogue.policy === undefined ? {} : { policy: dialogue.policy });
  for (const [index, step] of dialogue.steps.entries()) {
    if (step.verdict !== undefined) {
      played.gate.release();
      played.gate.held.at(-1)!.listener.held(notice1);
      played.gate.decide(step.verdict);
      played.gate.release();
    }
    for (const piece of pieces(step, index)) {
      if (step.from !== 'people') played[step.from].send(piece);
      played.gate.release();
    }
  }
  const sent = (from: Step['from']) =>
    Buffer.concat(dialogue.steps.filter((step) => step.from === from).map(({ bytes }) => bytes));
  const forwarded = played.target.received;
  if (dialogue.forwarded === undefined) assert.deepEqual(forwarded, sent('client'));
  else assert.match(forwarded.toString('latin1'), dialogue.forwarded);
  const delivered = dialogue.delivered ?? sent('target');
  assert.deepEqual(played.client.received, delivered);
  assert.deepEqual(Buffer.concat(played.gate.outputs.map(({ bytes }) => bytes)), delivered);
  assert.deepEqual(played.gate.summary(), dialogue.summary);
  assert.equal(played.gate.reason, null);
}

const copyMessages = (bytes: Buffer): Buffer => {
  const kept: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if ('dcf'.includes(String.fromCharCode(bytes[at]!)))
      kept.push(bytes.subarray(at, at + 1 + bytes.readUInt32BE(at + 1)));
  }
  return Buffer.concat(kept);
};

for (const dialogue of dialogues) {
  test(`${dialogue.name}: whole, byte by byte, and cut at every point`, async () => {
    await play(dialogue, ({ bytes }) => [bytes]);
    await play(dialogue, ({ bytes }) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)));
    for (const [cut, step] of dialogue.steps.entries()) {
      for (let at = 1; at < step.bytes.length; at++) {
        await play(dialogue, ({ bytes }, i) =>
          i === cut ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes],
        );
      }
    }
  });
}

test('COPY: the record has what the target received, whichever way it was cut', async () => {
  const dialogue = dialogues[2]!;
  const expected = copyMessages(
    Buffer.concat(dialogue.steps.filter(({ from }) => from === 'client').map(({ bytes }) => bytes)),
  );
  for (let size = 1; size < 40; size++) {
    const played = await started();
    for (const { from, bytes } of dialogue.steps) {
      for (let at = 0; at < bytes.length; at += size) {
        if (from !== 'people') played[from].send(bytes.subarray(at, at + size));
        played.gate.release();
      }
    }
    assert.deepEqual(Buffer.concat(played.gate.inputs.map(({ bytes }) => bytes)), expected);
    assert.deepEqual([...new Set(played.gate.inputs.map(({ command }) => command))], [1, 2]);
  }
});

const oneRow = (text: string): Buffer => Buffer.concat([parsed, bound, row(text), complete('SELECT 1')]);

test('rows belong to their command, whichever way the stream is cut', async () => {
  const bytes = Buffer.concat([oneRow('first'), oneRow('second'), ready()]);
  for (let at = 1; at < bytes.length; at++) {
    const played = await started();
    played.client.send(
      Buffer.concat([
        parse('', 'a'),
        bind('', ''),
        execute(''),
        parse('', 'b'),
        bind('', ''),
        execute(''),
        sync,
      ]),
    );
    for (const piece of [bytes.subarray(0, at), bytes.subarray(at)]) played.target.send(piece);
    const of = (command: number) =>
      Buffer.concat(
        played.gate.outputs.filter((output) => output.command === command).map((output) => output.bytes),
      );
    assert.ok(of(1).includes(row('first')) && !of(1).includes(row('second')));
    assert.ok(of(2).includes(row('second')) && !of(2).includes(row('first')));
  }
});
