import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { parseMoment } from '../../../src/cli/audit/moment.ts';
import { RelaySource } from '../../../src/cli/audit/source.ts';
import { newKey } from '../../identity/support.ts';
import type { TranscriptView } from '../../../src/wire/audit.ts';

const item: TranscriptView = { micros: 1, connection: 1, command: 1, kind: 'complete', tag: 'SELECT é' };
const session = { session: '01JD0000000000000000000001' } as Parameters<RelaySource['transcript']>[0];

async function read(body: Readable): Promise<unknown[]> {
  const source = new RelaySource(
    {
      relay: 'https://relay.example',
      signIn: { key: newKey },
      client: { get: () => Promise.reject(new Error('not asked')), stream: async () => body },
    },
    () => () => undefined,
  );
  const items: unknown[] = [];
  for await (const each of source.transcript(session)) items.push(each);
  return items;
}

test('lines are read however they were cut', async () => {
  const bytes = Buffer.from(`${JSON.stringify(item)}\n`.repeat(3));
  for (const size of [1, 2, 7, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    assert.deepEqual(await read(Readable.from(chunks)), [item, item, item]);
  }
});

test('an answer that breaks off, by an error or inside a line, is a failure and not a shorter history', async () => {
  const line = `${JSON.stringify(item)}\n`;
  const cut = { code: 'audit-line-invalid' };
  await assert.rejects(read(Readable.from([Buffer.from(line + line.slice(0, 9))])), cut);
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from(line);
      throw new Error('reset');
    })(),
  );
  await assert.rejects(read(broken), cut);
  await assert.rejects(read(Readable.from([Buffer.from('{"kind":"odd"}\n')])), cut);
});

test('times as people type them', () => {
  const now = new Date('2026-11-21T12:00:00.000Z');
  assert.equal(parseMoment('2h', now), '2026-11-21T10:00:00.000Z');
  assert.equal(parseMoment('2026-11-21', now), '2026-11-21T00:00:00.000Z');
  assert.equal(parseMoment('2026-11-21T09:30+01:00', now), '2026-11-21T08:30:00.000Z');
  for (const text of ['yesterday', '2026-13-01', '11/21/2026', ''])
    assert.throws(() => parseMoment(text, now), { code: 'duration-invalid' });
});
