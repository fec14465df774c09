/** The example in FORMAT.md is what the mux sends, byte by byte; headers survive encoding. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { decodeHeader, encodeHeader, headerBytes } from '../../../src/wire/yamux/frame.ts';
import { listen, pair } from './pair.ts';

/** Hex columns of the fenced blocks under "Example". */
function examples(): Buffer[] {
  const text = readFileSync(new URL('../../../src/wire/yamux/FORMAT.md', import.meta.url), 'utf8');
  const blocks = text
    .split('## Example')[1]!
    .split('```')
    .filter((_, i) => i % 2 === 1);
  return blocks.map((block) => {
    const rows = block.split('\n').map((row) => /^((?:[0-9a-f]{2} +)+)/.exec(row)?.[1] ?? '');
    return Buffer.from(rows.join('').replaceAll(' ', ''), 'hex');
  });
}

test('the example of FORMAT.md', async () => {
  const [fromClient, fromServer] = examples();
  const { client, server } = pair();
  const stream = client.mux.open()!;
  listen(stream);
  stream.write(Buffer.from('hello'));
  stream.end();
  client.mux.flush();
  assert.deepEqual(client.pipe.take(), fromClient);
  server.mux.receive(Buffer.from(fromClient!));
  server.mux.flush();
  assert.deepEqual(server.pipe.take(), fromServer);
  const notes = listen(server.accepted[0]!);
  server.accepted[0]!.end();
  await notes.over;
  assert.equal(notes.bytes.toString(), 'hello');
});

test('decode gives back what was encoded, at any offset', () => {
  const onStream = fc.record({
    type: fc.nat(1),
    flags: fc.nat(15),
    stream: fc.integer({ min: 1, max: 0xffffffff }),
    length: fc.nat(0xffffffff),
  });
  const onTunnel = fc.record({
    type: fc.integer({ min: 2, max: 3 }),
    flags: fc.nat(15),
    stream: fc.constant(0),
    length: fc.nat(0xffffffff),
  });
  fc.assert(
    fc.property(fc.oneof(onStream, onTunnel), fc.nat(20), (header, offset) => {
      const bytes = Buffer.alloc(headerBytes + offset, 0xff);
      const { type, flags, stream, length } = header;
      encodeHeader(bytes, offset, type, flags, stream, length);
      assert.deepEqual(decodeHeader(bytes, offset), { ...header });
    }),
  );
});
