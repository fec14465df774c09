/**
 * One table lists every message that a PostgreSQL server can send. Here it is held against what the relay accepts, and
 * each message is sent with a value in every place that can hold one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedTypes } from '../../../../src/protocols/postgres/backend.ts';
import { backendMessages } from '../../../../src/protocols/postgres/masking/backend-messages.ts';
import { int16, int32, message, ready, script as played, started, startupMessage } from '../scripted.ts';
import type { Script } from '../scripted.ts';
import { StandIn } from './stand-in.ts';

const planted = 'bob@example.com';
const hidden = '*'.repeat(planted.length);
const column = (name: string, type = 25, format = 0): Buffer =>
  Buffer.concat([
    Buffer.from(`${name}\0`),
    int32(0),
    int16(0),
    int32(type),
    int16(-1),
    int32(-1),
    int16(format),
  ]);
const rowDescription = (...columns: Buffer[]): Buffer => message('T', int16(columns.length), ...columns);
const value = (text: string | Buffer): Buffer =>
  Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text as string)]);
const row = (...values: (string | Buffer)[]): Buffer =>
  message('D', int16(values.length), ...values.map(value));
const complete = message('C', 'SELECT 1\0');
const query = message('Q', 'select 1\0');

async function masked(rule = {}): Promise<Script> {
  return started({ masking: new StandIn({ detect: ['email', 'card', 'ssn'], ...rule }) });
}

/** The answer to a query, as the client gets it. */
async function delivered(...answer: Buffer[]): Promise<{ bytes: Buffer; script: Script }> {
  const script = await masked();
  script.client.send(query);
  await script.settle();
  script.target.send(Buffer.concat(answer));
  await script.settle();
  return { bytes: script.client.received, script };
}

test('the table lists what the relay accepts, and nothing that it lists as refused is accepted', () => {
  const dealt = Object.entries(backendMessages)
    .filter(([, { treatment }]) => treatment !== 'refused')
    .map(([letter]) => letter);
  const accepted = [...acceptedTypes].map((type) => String.fromCharCode(type));
  // CopyBothResponse is told apart, so that its refusal can be; it is accepted nowhere.
  assert.deepEqual(dealt.toSorted(), accepted.filter((letter) => letter !== 'W').toSorted());
  assert.equal(backendMessages['W']!.treatment, 'refused');
});

const error = (type: string, text: string): Buffer =>
  message(
    type,
    `SERROR\0VERROR\0C23505\0M${text}\0D${text}\0H${text}\0W${text}\0q${text}\0n${text}\0Ffile.c\0L12\0Rf\0\0`,
  );

/** Every message that the table calls masked, with values in all its places. */
const places: Record<string, (text: string) => Buffer[]> = {
  T: (text) => [rowDescription(column(text), column(`x ${text}`)), complete, ready()],
  D: (text) => [rowDescription(column('a'), column('b')), row(text, `x ${text} y`), complete, ready()],
  E: (text) => [error('E', text), ready()],
  N: (text) => [error('N', text), complete, ready()],
  A: (text) => [message('A', int32(7), `${text}\0${text}\0`), complete, ready()],
  S: (text) => [message('S', `application_name\0${text}\0`), complete, ready()],
};

for (const [letter, answer] of Object.entries(places)) {
  test(`${backendMessages[letter]!.name} is masked in every place, and nothing else of it changes`, async () => {
    const { bytes, script } = await delivered(...answer(planted));
    assert.equal(bytes.toString('latin1'), Buffer.concat(answer(hidden)).toString('latin1'));
    const count = Buffer.concat(answer(planted)).toString('latin1').split(planted).length - 1;
    assert.equal(script.gate.redactions.length, count);
    for (const redaction of script.gate.redactions) assert.equal(redaction.original, planted);
  });
}

test('FunctionCallResponse is masked', async () => {
  const script = await masked();
  script.client.send(message('F', int32(957), int16(0, 0, 0)));
  await script.settle();
  script.target.send(Buffer.concat([message('V', value(`x${planted}`.slice(1))), ready()]));
  await script.settle();
  assert.deepEqual(script.client.received, Buffer.concat([message('V', value(hidden)), ready()]));
});

test('messages that the table lists as masked have a test here', () => {
  const listed = Object.entries(backendMessages).filter(([, { treatment }]) => treatment === 'masked');
  // CopyData needs a target that answers about its tables: see real/masking.test.ts.
  assert.deepEqual(
    listed.map(([letter]) => letter).toSorted(),
    [...Object.keys(places), 'V', 'd'].toSorted(),
  );
});

test('refused: messages of start-up and of replication end the connection, and none of their bytes are delivered', async () => {
  for (const [letter, { treatment }] of Object.entries(backendMessages)) {
    if (treatment !== 'refused') continue;
    const { bytes, script } = await delivered(message(letter, int32(0), `${planted}\0`));
    assert.ok(!bytes.includes(planted), letter);
    assert.match(bytes.toString('latin1'), /^E.*FATAL.*08P01/s, letter);
    await script.relay.ended;
  }
});

test('rows that were not described, or are not as they were, end the connection', async () => {
  const hostile = [
    [row(planted)],
    [rowDescription(column('a')), row(planted, planted)],
    [rowDescription(column('a')), message('D', int16(1), int32(3000), planted)],
    [rowDescription(column('a')), message('D', int16(1), int32(-2), planted)],
    [rowDescription(column('a')), message('D', int16(1), value('x'), planted)],
    [rowDescription(column('a', 25, 7)), row(planted)],
  ];
  for (const [index, answer] of hostile.entries()) {
    const { bytes, script } = await delivered(...answer);
    assert.ok(!bytes.includes(planted), String(index));
    assert.match(bytes.toString('latin1'), /FATAL/, String(index));
    await script.relay.ended;
  }
});

test('a length that looks like text is no part of a value, and neither is the next message', async () => {
  const texts = ['x'.repeat(33) + planted, `${planted}${' '.repeat(0x34 - planted.length)}`, planted];
  const { bytes } = await delivered(
    rowDescription(column('a')),
    ...texts.map((text) => row(text)),
    complete,
    ready(),
  );
  const expected = texts.map((text) =>
    row(text === texts[0] ? '*'.repeat(text.length) : text.replace(planted, hidden)),
  );
  assert.deepEqual(bytes, Buffer.concat([rowDescription(column('a')), ...expected, complete, ready()]));
});

test('modes that change the length: the row, the message and what follows stay whole', async () => {
  const answer = [rowDescription(column('a'), column('b')), row(`x ${planted} y ${planted}`, 'z'), row('p', planted), complete, ready()]; // prettier-ignore
  const expectations: Record<string, Buffer[]> = {
    fixed: [row('x GONE y GONE', 'z'), row('p', 'GONE')],
    null: [message('D', int16(2), int32(-1), value('z')), message('D', int16(2), value('p'), int32(-1))],
  };
  for (const [mode, rows] of Object.entries(expectations)) {
    const script = await masked({ mode, value: 'GONE' });
    script.client.send(query);
    await script.settle();
    script.target.send(Buffer.concat(answer));
    await script.settle();
    assert.deepEqual(script.client.received, Buffer.concat([answer[0]!, ...rows, complete, ready()]), mode);
    assert.equal(script.gate.redactions.length, 3);
    const recorded = Buffer.concat(script.gate.outputs.map(({ bytes }) => bytes));
    assert.deepEqual(recorded, script.client.received, 'the record is what the client saw');
  }
});

test('cut anywhere: the same is delivered, recorded and told', async () => {
  const answer = Buffer.concat([
    message('N', `SNOTICE\0C00000\0M${planted}\0\0`),
    rowDescription(column('a'), column('c', 20)),
    row(planted, '4111111111111111'),
    row('x', '5'),
    row(`${planted} ${planted}`, '4111111111111112'),
    complete,
    ready(),
  ]);
  for (const mode of ['redact', 'fixed']) {
    let first: string | null = null;
    for (let cut = 0; cut < answer.length; cut++) {
      const script = await masked({ mode, value: 'A' });
      script.client.send(query);
      await script.settle();
      script.target.send(answer.subarray(0, cut));
      await script.settle();
      script.target.send(answer.subarray(cut));
      await script.settle();
      const told = JSON.stringify([script.client.received.toString('latin1'), script.gate.redactions]);
      first ??= told;
      assert.equal(told, first, `${mode} ${cut}`);
      assert.ok(!told.replaceAll(/"original":"[^"]*"/g, '').includes(planted));
    }
  }
});

test('a redaction names row, column, offset and length, and comes before the bytes that it concerns', async () => {
  const { script } = await delivered(
    rowDescription(column('a'), column('b')),
    row('x', 'y'),
    row('x', `at ${planted}`),
    message('C', 'SELECT 2\0'),
    ready(),
  );
  assert.deepEqual(script.gate.redactions, [
    { command: 1, rule: 0, place: { row: 1, column: 1, offset: 3, length: 15 }, original: planted },
  ]);
});

test('a portal that the client does not describe is described by the relay, and its answer is not delivered', async () => {
  const script = await masked();
  const bind = message('B', '\0\0', int16(0, 0, 0));
  const execute = message('E', '\0', int32(0));
  script.client.send(Buffer.concat([message('P', '\0select 1\0', int16(0)), bind, execute, message('S')]));
  await script.settle();
  const asked = message('D', 'P\0');
  assert.deepEqual(
    script.target.received,
    Buffer.concat([message('P', '\0select 1\0', int16(0)), bind, asked, execute, message('S')]),
  );
  script.target.send(
    Buffer.concat([message('1'), message('2'), rowDescription(column('a')), row(planted), complete, ready()]),
  );
  await script.settle();
  assert.deepEqual(
    script.client.received,
    Buffer.concat([message('1'), message('2'), row(hidden), complete, ready()]),
  );
  assert.deepEqual(script.gate.summary(), ['select 1 → succeeded SELECT 1 1 null']);
});

test('a portal that fails while it is described: the client gets that error, the command has failed', async () => {
  const script = await masked();
  const wanted = [message('B', 'p\0s\0', int16(0, 0, 0)), message('E', 'p\0', int32(0)), message('S')];
  script.client.send(Buffer.concat(wanted));
  await script.settle();
  const failure = message('E', 'SERROR\0VERROR\0C34000\0Mno portal\0\0');
  script.target.send(Buffer.concat([message('2'), failure, ready()]));
  await script.settle();
  assert.deepEqual(script.client.received, Buffer.concat([message('2'), failure, ready()]));
  assert.deepEqual(script.gate.summary(), ['EXECUTE "s" → failed null 0 34000']);
});

test('masking that throws ends the connection: nothing is delivered unmasked', async () => {
  const masking = new StandIn({ detect: ['email'] });
  const script = await started({ masking });
  masking.scanValues = () => {
    throw new Error('a fault in a detector');
  };
  script.client.send(query);
  await script.settle();
  script.target.send(Buffer.concat([rowDescription(column('a')), row(planted), complete, ready()]));
  await script.settle();
  assert.ok(!script.client.received.includes(planted));
  assert.match(script.client.received.toString('latin1'), /FATAL.*XX000/s);
  await script.relay.ended;
});

test('what the target announces when it starts is masked too', async () => {
  const script = played({ masking: new StandIn({ detect: ['email'] }) });
  script.client.send(startupMessage());
  await script.settle();
  const announced = [
    message('S', `application_name\0${planted}\0`),
    message('N', `SNOTICE\0C00000\0M${planted}\0\0`),
  ];
  script.target.send(Buffer.concat([message('R', int32(0)), ...announced, ready()]));
  await script.settle();
  assert.ok(!script.client.received.includes(planted));
  assert.equal(script.client.received.toString('latin1').split(hidden).length - 1, 2);
});
