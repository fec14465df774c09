/** What the client types, as it is recorded: by the real masking engine, at every place where a literal can stand. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { unknownFacts } from '../../src/model/command-facts.ts';
import { MaskedRecorder } from '../../src/gate/masked-recorder.ts';
import type { RedactionPlace } from '../../src/gate/masking.ts';
import type { Recorder } from '../../src/gate/recorder.ts';
import { compileConfig, compileMasking, type MaskingRule } from '../../src/masking/masking.ts';
import { decimalOf, RecordedValues } from '../../src/protocols/postgres/recorded-values.ts';
import { bind } from '../evidence/read/history.ts';

interface Noted {
  readonly recorder: MaskedRecorder;
  /** Everything that reached the record, in order. */
  readonly records: unknown[][];
  readonly redactions: { rule: string; place: RedactionPlace; original: string }[];
}

const latin1 = (bytes: Uint8Array | number | null): string | number | null =>
  bytes === null || typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString('latin1');

function noting(mode: MaskingRule['mode'] = 'redact', input: 'copy-data' | 'bytes' = 'copy-data'): Noted {
  const compiled = compileConfig({
    detectors: [],
    rules: [
      {
        name: 'personal',
        targets: [],
        targetGroups: [],
        detect: ['email', 'card'],
        columns: [],
        outputs: [],
        mode,
        value: null,
        exemptGroups: [],
      },
    ],
    exemptColumns: [],
  });
  assert.ok('custom' in compiled);
  const scope = { target: { name: 'db', groups: [] }, groups: [], hashKey: Buffer.alloc(32, 1) };
  const { masking } = compileMasking(compiled, scope);
  assert.ok(masking !== null);
  const records: unknown[][] = [];
  const redactions: Noted['redactions'] = [];
  const recorder: Recorder = {
    connectionOpened: (connection, info) => void records.push(['connection', connection, info.parameters]),
    connectionClosed: (connection) => void records.push(['closed', connection]),
    statement: (_connection, statement, text) => void records.push(['statement', statement, latin1(text)]),
    statementText: () => Buffer.alloc(0),
    forgetStatement: () => undefined,
    command: (_connection, command, text, parameters) =>
      void records.push(['command', command, latin1(text), latin1(parameters)]),
    input: (_connection, command, bytes) => void records.push(['input', command, latin1(bytes)]),
    output: () => undefined,
    errorOutput: () => undefined,
    resize: () => undefined,
    origin: () => undefined,
    redaction: (_connection, _command, rule, place, original) =>
      void redactions.push({ rule, place, original: Buffer.from(original).toString('latin1') }),
    rowRedactions: () => undefined,
    outcome: () => undefined,
    flush: () => undefined,
    sync: async () => undefined,
  };
  const options = { recorder, masking, values: new RecordedValues(), decimalOf, input };
  return { recorder: new MaskedRecorder(options), records, redactions };
}

const mail = 'ana@example.com';
const card = '4111111111111111';
const stars = (text: string): string => '*'.repeat(text.length);

test('a text without findings is recorded as it is, and is the very same bytes', () => {
  const { recorder, records, redactions } = noting();
  const text = Buffer.from('select 1');
  assert.equal(recorder.text(text), text);
  const parameters = bind([['61', 0]]);
  assert.equal(recorder.parameters(parameters, null), parameters);
  recorder.command(1, 1, text, parameters, 'allow', unknownFacts, null);
  assert.deepEqual(records, [['command', 1, 'select 1', latin1(parameters)]]);
  assert.deepEqual(redactions, []);
});

test('texts and statements: literals masked, their places and originals told; what is quoted is what is recorded', () => {
  const { recorder, records, redactions } = noting();
  const text = Buffer.from(`select '${mail}', ${card}`);
  const before = Buffer.from(text);
  recorder.command(1, 1, text, null, 'allow', unknownFacts, null);
  recorder.statement(1, 7, text, [], unknownFacts);
  const masked = `select '${stars(mail)}', ${stars(card)}`;
  assert.deepEqual(records, [
    ['command', 1, masked, null],
    ['statement', 7, masked],
  ]);
  assert.equal(latin1(recorder.text(text)), masked);
  assert.ok(text.equals(before), 'the target gets the original');
  assert.deepEqual(
    redactions.map(({ place, original }) => [place.literal, place.offset, place.length, original]),
    ['text', 'statement'].flatMap((part) => [
      [part, 8, mail.length, mail],
      [part, 8 + mail.length + 3, card.length, card],
    ]),
  );
});

test('modes that change the length, and the one that leaves nothing: the text around stays', () => {
  const text = Buffer.from(`a '${mail}' b '${mail}' c`);
  const hashed = String(latin1(noting('hash').recorder.text(text)));
  const [, first, second] = /^a '(.+)' b '(.+)' c$/.exec(hashed)!;
  assert.equal(first, second, 'a hash keeps joins');
  assert.ok(!hashed.includes(mail));
  assert.equal(latin1(noting('null').recorder.text(text)), `a '${stars(mail)}' b '${stars(mail)}' c`);
});

test('parameters: text and binary, numbers in binary too, lengths kept; malformed ones are searched whole', () => {
  const { recorder, records, redactions } = noting('hash');
  const int8 = Buffer.alloc(8);
  int8.writeBigInt64BE(BigInt(card));
  const numeric = '000400030000000010 0f0457 0457 0457'.replaceAll(' ', '');
  const given = bind([
    [Buffer.from(mail).toString('hex'), 0],
    [Buffer.from(mail).toString('hex'), 1],
    [int8.toString('hex'), 1],
    [numeric, 1],
    [null, 0],
    ['000000000000002a', 1],
  ]);
  recorder.command(1, 1, Buffer.from('select'), given, 'allow', unknownFacts, null);
  const recorded = Buffer.from(String(records[0]![3]), 'latin1');
  assert.equal(recorded.length, given.length);
  for (const original of [Buffer.from(mail), int8, Buffer.from(numeric, 'hex')])
    assert.equal(recorded.includes(original), false);
  assert.ok(recorded.includes(Buffer.from('000000000000002a', 'hex')));
  assert.deepEqual(
    redactions.map(({ place }) => [place.literal, place.column]),
    [0, 1, 2, 3].map((column) => ['parameter', column]),
  );
  const broken = Buffer.concat([Buffer.from([0, 9]), Buffer.from(` ${mail} `)]);
  assert.doesNotMatch(String(latin1(recorder.parameters(broken, null))), /example/);
});

test('start-up parameters', () => {
  const { recorder, records, redactions } = noting();
  const parameters = { user: 'ana', application_name: `for ${mail}` };
  recorder.connectionOpened(1, { parameters, serverVersion: null });
  assert.deepEqual(records, [['connection', 1, { user: 'ana', application_name: `for ${stars(mail)}` }]]);
  assert.deepEqual(
    redactions.map(({ place, original }) => [place.literal, original]),
    [['startup', mail]],
  );
});

const copyData = (text: string): Buffer => {
  const header = Buffer.alloc(5, 0x64);
  header.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([header, Buffer.from(text)]);
};

test('COPY input, cut anywhere, in messages cut anywhere: no original in the record, every one sealed, frames whole', () => {
  const rows = `1\t${mail}\tplain words\n2\t4111 1111 1111 1111\t${'x'.repeat(100)}\n3\tben.secret@example.org\tend\n`;
  const secrets = [mail, '4111 1111 1111 1111', 'ben.secret@example.org'];
  for (const [messageBytes, cutBytes] of [
    [1000, 1],
    [1000, 7],
    [1000, 64],
    [1000, 10_000],
    [3, 11],
    [13, 10_000],
    [40, 45],
  ] as const) {
    const { recorder, records, redactions } = noting();
    const messages: Buffer[] = [];
    for (let at = 0; at < rows.length; at += messageBytes)
      messages.push(copyData(rows.slice(at, at + messageBytes)));
    messages.push(Buffer.from('6300000004', 'hex'));
    const stream = Buffer.concat(messages);
    for (let at = 0; at < stream.length; at += cutBytes)
      recorder.input(1, 1, stream.subarray(at, at + cutBytes));
    const recorded = Buffer.from(records.map((record) => String(record[2])).join(''), 'latin1');
    assert.equal(recorded.length, stream.length);
    let bodies = '';
    for (let at = 0; at < recorded.length; at += 1 + recorded.readInt32BE(at + 1)) {
      assert.ok('dc'.includes(String.fromCharCode(recorded[at]!)));
      bodies += recorded.subarray(at + 5, at + 1 + recorded.readInt32BE(at + 1)).toString('latin1');
    }
    for (const secret of secrets) assert.equal(bodies.includes(secret), false, secret);
    // Each original, put back at its place, gives what was sent.
    const restored = Buffer.from(bodies, 'latin1');
    for (const { place, original } of redactions) {
      assert.equal(place.literal, 'input');
      assert.equal(original.length, place.length);
      restored.write(original, place.offset, 'latin1');
    }
    assert.equal(restored.toString('latin1'), rows, `messages of ${messageBytes}, reads of ${cutBytes}`);
  }
});

test('the next COPY of a connection begins anew', () => {
  const { recorder, records } = noting();
  recorder.input(1, 1, copyData('411111'));
  recorder.outcome(1, 1, { kind: 'succeeded', tag: 'COPY 1', rows: 1, errorCode: null });
  recorder.input(1, 2, copyData('plain\n'));
  assert.equal(records[1]![2], latin1(copyData('plain\n')));
});

/** Records what a program reads, in pieces; checks that each original, put back, gives what was sent. */
function typed(pieces: readonly string[]): { recorded: readonly string[]; rules: readonly string[] } {
  const { recorder, records, redactions } = noting('hash', 'bytes');
  for (const piece of pieces) recorder.input(1, 1, Buffer.from(piece));
  const recorded = records.map((record) => String(record[2]));
  const restored = Buffer.from(recorded.join(''), 'latin1');
  for (const { place, original } of redactions) {
    assert.equal(place.literal, 'input');
    restored.write(original, place.offset, 'latin1');
  }
  assert.equal(restored.toString('latin1'), pieces.join(''));
  return { recorded, rules: redactions.map(({ rule }) => rule) };
}

test('what a program reads, as bytes: masked in place, and of each piece only its end is undecided', () => {
  assert.deepEqual(typed([`cat <<x\n${mail}\nx\n`]).recorded, [`cat <<x\n${stars(mail)}\nx\n`]);
  assert.deepEqual(typed(['id 41', '11 1111 1111 1111', '\nid 41\n', 'ls\r']), {
    recorded: ['id **', stars('11 1111 1111 1111'), '\nid 41\n', 'ls\r'],
    rules: ['undecided', 'undecided'],
  });
  assert.deepEqual(typed(['4111111111111', '111 and ']).recorded, [stars('4111111111111'), '*** and ']);
});

test('what a program reads, cut anywhere: no original is recorded', () => {
  const text = `mail ${mail}, card 4111 1111 1111 1111; bye\n`;
  for (let cut = 1; cut < text.length; cut++)
    assert.doesNotMatch(typed([text.slice(0, cut), text.slice(cut)]).recorded.join(''), /ana|4111/, `${cut}`);
  assert.doesNotMatch(typed([...text]).recorded.join(''), /example|111/);
});
