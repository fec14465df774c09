/** The time that masking takes grows as the bytes do, whatever they are: one value holds up every session of the relay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionGate } from '../../../../src/gate/gate.ts';
import { BinaryValues } from '../../../../src/protocols/postgres/masking/binary-values.ts';
import { CopyMasker } from '../../../../src/protocols/postgres/masking/copy-rows.ts';
import { HiddenText } from '../../../../src/protocols/postgres/masking/hidden-text.ts';
import { Form, typeFacts } from '../../../../src/protocols/postgres/masking/types.ts';
import { ValueMasker } from '../../../../src/protocols/postgres/masking/values.ts';
import { message } from '../scripted.ts';
import { maskingOf } from './support.ts';

const gate = { redacted: () => undefined } as unknown as ConnectionGate;
const values = new ValueMasker(gate, maskingOf({ detect: ['card', 'email'] }));
const hidden = new HiddenText(values);

/** Processor time, the least of three, in milliseconds. */
function taken(make: () => Buffer, work: (bytes: Buffer) => void): number {
  const times = [1, 2, 3].map(() => {
    const bytes = make();
    values.begin();
    const before = process.cpuUsage();
    work(bytes);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}

function grows(make: (count: number) => Buffer, work: (bytes: Buffer) => void): void {
  const few = taken(() => make(4000), work);
  const many = taken(() => make(64_000), work);
  // Sixteen times as much: far from the 256 times of a square.
  assert.ok(many < 64 * Math.max(2, few), `${few} ms, then ${many} ms`);
}

test('numbers in a binary jsonb', () => {
  grows(
    (count) => Buffer.from(`\u0001[${'4111111111111111,'.repeat(count / 4)}0]`),
    (bytes) => new BinaryValues(values).look(3802, bytes, 0, bytes.length),
  );
});

test('addresses behind one escape', () => {
  grows(
    (count) => Buffer.from(`{"a":"\\n","b":[${'"a@b.cd",'.repeat(2 * count)}0]}`),
    (bytes) => hidden.escaped(Form.json, bytes, 0, bytes.length, 'json'),
  );
});

test('fields of a COPY without escapes', () => {
  const column = { rule: -1, exempt: false, typeOid: 25, type: typeFacts(25) };
  const masker = new CopyMasker(values, hidden);
  const line = message('d', 'a\tbb\tccc\t12\n');
  grows(
    (count) => Buffer.concat(Array.from({ length: count }, () => line)),
    (bytes) => {
      masker.begin({ binary: false, statement: null, columns: [column, column, column, column] });
      masker.mask(bytes, 0, bytes.length);
    },
  );
});
