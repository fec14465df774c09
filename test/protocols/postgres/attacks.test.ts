/** Ends that do not keep to the protocol, on either side, in every phase. */
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import { CancelKeys } from '../../../src/protocols/postgres/cancel-keys.ts';
import { decodeErrorResponse } from '../../../src/protocols/postgres/messages/error.ts';
import { endPointHash, ScramExchange, ScramKeys } from '../../../src/protocols/postgres/scram.ts';
import {
  error,
  int16,
  int32,
  message,
  packet,
  ready,
  script,
  started,
  startupMessage,
  targetKey,
} from './scripted.ts';
import type { Script } from './scripted.ts';

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sslRequest = packet(int32(80_877_103));
const gssRequest = packet(int32(80_877_104));
const query = (text: string): Buffer => message('Q', `${text}\0`);
const ok = message('R', int32(0));
const parseNamed = (name: string, text: string): Buffer => message('P', `${name}\0${text}\0`, int16(0));
const bindNamed = (name: string): Buffer => message('B', `\0${name}\0`, int16(0, 0, 0));
const executeAll = (portal: string): Buffer => message('E', `${portal}\0`, int32(0));

/** The ErrorResponse at the end of what the client got. */
function told(played: Script): { sqlstate: string; message: string; hint: string | null; severity: string } {
  const bytes = played.client.received;
  let at = 0;
  while (bytes[at] === 0x4e && bytes.length > at) at++; // answers to SSLRequest
  let last: Buffer | null = null;
  while (at < bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    last = bytes[at] === 0x45 ? bytes.subarray(at + 5, end) : null;
    at = end;
  }
  assert.ok(last !== null, `no error at the end of ${bytes.toString('latin1')}`);
  return decodeErrorResponse(last);
}

async function said(...chunks: Buffer[]): Promise<Script> {
  const played = script();
  for (const chunk of chunks) played.client.send(chunk);
  await played.settle();
  return played;
}

test('before start-up: encryption is declined, each kind once; anything else that is no start-up ends', async () => {
  const both = await said(sslRequest, gssRequest, startupMessage());
  assert.equal(both.client.received.toString(), 'NN');
  assert.equal(both.targets.length, 1);
  for (const bytes of [
    [sslRequest, sslRequest],
    [query('select 1')],
    [int32(4)],
    [int32(10_001), int32(0x30000)],
    [int32(-1)],
    [packet(int32(0x30000), 'user\0ana')],
    [packet(int32(0x30000), 'user\0ana\0\0x')],
    [packet(int32(0x20000), 'x')],
    [packet(int32(80_877_103), 'x')],
  ]) {
    const played = await said(...bytes);
    assert.match(told(played).sqlstate, /^(08P01|0A000)$/);
    assert.equal(played.targets.length, 0);
    assert.ok(played.client.ended);
    assert.match(played.gate.reason!, /^postgres-/);
    assert.equal(await played.relay.ready, false);
  }
});

test('TLS without asking gets a TLS alert, and the reason is recorded', async () => {
  const played = await said(Buffer.from('160301020001000001fc0303', 'hex'));
  assert.equal(played.client.received.subarray(0, 7).toString('hex'), '15030300020278');
  assert.equal(played.gate.reason, 'postgres-unsupported-protocol');
});

test('a newer minor version and unknown options are negotiated; 3.2 gets a long key, 3.0 a short one', async () => {
  const cases = [
    [startupMessage('user\0ana\0', 0x30000), null, 4],
    [startupMessage('user\0ana\0', 0x30002), null, 32],
    [startupMessage('user\0ana\0', 0x3270f), message('v', int32(0x30002, 0)), 32],
    [startupMessage('user\0ana\0_pq_.x\x001\0', 0x30000), message('v', int32(0x30002, 1), '_pq_.x\0'), 4],
  ] as const;
  for (const [startup, negotiation, secretBytes] of cases) {
    const played = await said(startup);
    assert.doesNotMatch(played.target.received.toString('latin1'), /_pq_/);
    played.target.send(
      Buffer.concat([ok, message('K', int32(targetKey.processId), targetKey.secret), ready()]),
    );
    await played.settle();
    const received = played.client.received;
    const skipped = negotiation?.length ?? 0;
    if (negotiation !== null) assert.deepEqual(received.subarray(0, skipped), negotiation);
    const key = received.subarray(skipped + ok.length);
    assert.equal(key[0], 0x4b);
    assert.equal(key.readUInt32BE(1), 8 + secretBytes);
    assert.ok(!received.includes(targetKey.secret), 'the target’s key is not shown');
    assert.equal(await played.relay.ready, true);
  }
});

test('start-up parameters reach the target with the relay’s user and the chosen database', async () => {
  const played = await said(
    startupMessage('user\0ana\0application_name\0x y\0options\0-c a=b\0replication\0off\0user\0eve\0'),
  );
  const sent = played.target.received.toString('latin1').slice(8);
  assert.equal(sent, 'application_name\0x y\0options\0-c a=b\0user\0app\0database\0app\0\0');
});

test('a role among the start-up parameters, which no policy would decide about, never reaches the target', async () => {
  for (const parameters of [
    'role\0admin',
    'ROLE\0admin',
    'session_authorization\0admin',
    'options\0-c role=admin',
    'options\0-c a=b -crole=admin',
    'options\0-ecrole=admin',
    'options\0--Role=admin',
    'options\0-c session-authorization=admin',
    'options\0-c\\ \\r\\ole=admin -c r\\ole=admin',
  ]) {
    const played = await said(startupMessage(`user\0ana\0${parameters}\0`));
    assert.equal(told(played).sqlstate, '42501', parameters);
    assert.equal(played.targets.length, 0);
  }
  const harmless = 'options\0-c app.role=x -c search_path=role --plperl.on_role=y -c a=\\ role=1';
  const played = await said(startupMessage(`user\0ana\0${harmless}\0`));
  assert.ok(played.target.received.includes(harmless));
});

test('a Query right behind the start-up message waits until the target has accepted', async () => {
  const played = await said(Buffer.concat([startupMessage(), query('select 1')]));
  assert.ok(!played.target.received.includes('select 1'));
  assert.equal(played.gate.commands.length, 0);
  played.target.send(Buffer.concat([ok, ready()]));
  await played.settle();
  assert.ok(played.target.received.includes('select 1'));
});

const badClients: [string, Buffer][] = [
  ['unknown type', message('z')],
  ['password after start-up', message('p', 'x\0')],
  ['a length under 4', Buffer.from([0x51, 0, 0, 0, 3])],
  ['a negative length', Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
  ['a Sync with a body', message('S', 'x')],
  ['an unterminated query', message('Q', 'select 1')],
  ['a NUL inside a query', message('Q', 'select 1\0; delete\0')],
  ['an empty query message', message('Q')],
  ['a Parse that ends early', message('P', 's\0select 1\0', int16(3), int32(1))],
  ['a Bind without a terminator', message('B', 'portal')],
  ['an Execute that is too short', message('E', 'portal\0', int16(1))],
  ['a Describe of nothing', message('D', 'Xname\0')],
  ['a Close with more behind', message('C', 'Sname\0more')],
  ['a name of 9 KB', message('D', `S${'x'.repeat(9000)}\0`)],
  ['a FunctionCall that is too short', message('F', int32(1))],
];

test('after start-up: what is no message ends the connection, and nothing of it reaches the target', async () => {
  for (const [name, bytes] of badClients) {
    const played = await started();
    played.client.send(bytes);
    await played.settle();
    assert.equal(played.target.received.length, 0, name);
    assert.equal(told(played).sqlstate, '08P01', name);
    assert.equal(told(played).severity, 'FATAL', name);
    assert.ok(played.target.closed && played.client.ended, name);
    assert.match(played.gate.reason!, /^postgres-(malformed|unexpected)-message$/, name);
  }
});

const badTargets: [string, Buffer][] = [
  ['unknown type', message('@')],
  ['a row out of nowhere', message('D', int16(0))],
  ['ReadyForQuery that answers nothing', ready()],
  ['ReadyForQuery with a strange status', ready('X')],
  ['a late authentication request', message('R', int32(3))],
  ['a late key', message('K', int32(1, 2))],
  ['a replication stream', message('W', Buffer.from([0]), int16(0))],
  ['CopyData without a copy', message('d', 'x')],
  ['ParseComplete that answers nothing', message('1')],
  ['ParseComplete with a body', message('1', 'x')],
  ['CommandComplete that answers nothing', message('C', 'X\0')],
  ['an unterminated error', message('E', 'SERROR')],
  ['a length under 4', Buffer.from([0x5a, 0, 0, 0, 1])],
  ['a negative length', Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff])],
  ['a row description of 16 MiB', Buffer.from([0x54, 1, 0, 0, 0])],
];

test('a target that breaks the protocol ends the connection, and nothing of it is delivered', async () => {
  for (const [name, bytes] of badTargets) {
    const played = await started();
    played.target.send(bytes);
    await played.settle();
    assert.match(told(played).sqlstate, /^(08P01|54000)$/, name);
    assert.equal(played.gate.outputs.length, 1, name); // the error
    assert.deepEqual(played.gate.outputs[0]!.bytes, played.client.received, name);
    assert.ok(played.target.closed && played.client.ended, name);
  }
});

test('a flood of ReadyForQuery: one answer to one question, no more', async () => {
  const played = await started();
  played.client.send(query('select 1'));
  played.target.send(Buffer.concat([message('C', 'SELECT 0\0'), ready(), ready(), ready()]));
  await played.settle();
  assert.equal(told(played).sqlstate, '08P01');
  assert.deepEqual(played.gate.summary(), ['select 1 → succeeded SELECT 0 0 null']);
});

test('the message that stands in for a refused one must fail: a target that lets it pass is not believed', async () => {
  for (const answer of [ready(), message('t', int16(0)), message('C', 'SELECT 0\0')]) {
    const played = await started({ policy: () => ({ kind: 'deny', policies: ['p'], hint: null }) });
    played.client.send(query('delete from t'));
    played.target.send(answer);
    await played.settle();
    assert.equal(told(played).sqlstate, '08P01');
    assert.deepEqual(played.gate.summary(), ['delete from t → blocked null 0 42501']);
  }
});

test('a statement’s text follows what the target confirmed, not what was asked', async () => {
  const run = Buffer.concat([
    message('B', '\0s\0', int16(0, 0, 0)),
    message('E', '\0', int32(0)),
    message('S'),
  ]);
  const answers = Buffer.concat([message('2'), message('C', 'X\0'), ready()]);
  const played = await started();
  played.client.send(Buffer.concat([parseNamed('s', 'good'), message('S')]));
  played.target.send(Buffer.concat([message('1'), ready()]));
  // A second Parse of the name fails at the target; what runs behind it is still the first.
  played.client.send(Buffer.concat([parseNamed('s', 'evil'), message('S'), run]));
  await played.settle();
  assert.equal(played.gate.commands.length, 0, 'waits for the answer');
  played.target.send(Buffer.concat([error('42P05'), ready()]));
  await played.settle();
  played.target.send(answers);
  // After a query that may deallocate, the name is unsettled, then unknown.
  played.client.send(Buffer.concat([query('deallocate s; prepare s as select 2'), run]));
  await played.settle();
  played.target.send(Buffer.concat([message('C', 'DEALLOCATE\0'), message('C', 'PREPARE\0'), ready()]));
  await played.settle();
  played.target.send(answers);
  await played.settle();
  assert.deepEqual(
    played.gate.commands.map(({ text }) => text),
    ['good', 'deallocate s; prepare s as select 2', 'EXECUTE "s"'],
  );
});

test('a client that prepares without end is refused, and goes on', async () => {
  const played = await started();
  const limit = 65_536;
  for (let from = 0; from < limit; from += 4096) {
    const some = Array.from({ length: 4096 }, (_, i) => parseNamed(`s${from + i}`, 'x'));
    played.client.send(Buffer.concat([...some, message('S')]));
    await played.settle();
    played.target.send(Buffer.concat([...some.map(() => message('1')), ready()]));
    await played.settle();
  }
  played.target.take();
  played.client.take();
  played.client.send(Buffer.concat([parseNamed('one more', 'x'), message('S')]));
  await played.settle();
  assert.ok(!played.target.received.includes('one more'));
  played.target.send(Buffer.concat([error('26000'), ready()]));
  played.client.send(Buffer.concat([message('C', 'Ss0\0'), parseNamed('one more', 'x')]));
  await played.settle();
  assert.ok(played.client.received.includes('54000'));
  played.target.send(message('3'));
  played.client.send(parseNamed('one more', 'x'));
  await played.settle();
  assert.ok(played.target.received.includes('one more'));
});

test('the same segment: a failing Close, a rename behind an Execute, a cursor of SQL', async () => {
  const played = await started();
  played.client.send(Buffer.concat([parseNamed('s', 'good'), message('S')]));
  played.target.send(Buffer.concat([message('1'), ready()]));
  played.client.send(
    Buffer.concat([
      parseNamed('', 'deallocate s'),
      bindNamed(''),
      executeAll(''),
      bindNamed('s'),
      executeAll('c'),
      message('S'),
    ]),
  );
  await played.settle();
  assert.equal(played.gate.commands.length, 1, 'waits for the answers, which the relay asks for');
  assert.deepEqual(played.target.take().subarray(-5), message('H'));
  played.target.send(Buffer.concat([message('1'), message('2'), message('C', 'DEALLOCATE\0')]));
  await played.settle();
  assert.deepEqual(
    played.gate.commands.map(({ text }) => text),
    ['deallocate s', 'EXECUTE "s"', 'FETCH ALL FROM "c"'],
  );
});

test('cancellation: only an issued key is passed on, as the target’s own, and only in its session', async () => {
  const played = await started();
  const cancelKeys = played.cancelKeys;
  const issued = cancelKeys.issue({ target: targetKey, cancelHeld: () => false }, 4);
  const attempts: [Buffer, CancelKeys, boolean][] = [
    [packet(int32(80_877_102, issued.processId), issued.secret), cancelKeys, true],
    [packet(int32(80_877_102, issued.processId), Buffer.from([1, 2, 3, 4])), cancelKeys, false],
    [
      packet(int32(80_877_102, issued.processId), Buffer.concat([issued.secret, Buffer.alloc(1)])),
      cancelKeys,
      false,
    ],
    [packet(int32(80_877_102, targetKey.processId), targetKey.secret), cancelKeys, false],
    [packet(int32(80_877_102, issued.processId), issued.secret), new CancelKeys(), false],
  ];
  for (const [request, keys, passes] of attempts) {
    const other = script({ cancelKeys: keys });
    other.client.send(request);
    await other.settle();
    assert.equal(other.targets.length, passes ? 1 : 0);
    if (passes) {
      assert.deepEqual(
        other.target.received,
        packet(int32(80_877_102, targetKey.processId), targetKey.secret),
      );
      assert.ok(!other.client.ended);
      other.target.channel.destroy();
      await other.settle();
    }
    assert.ok(other.client.ended);
    assert.equal(other.client.received.length, 0);
    assert.equal(other.gate.reason, 'cancel-request');
  }
  cancelKeys.revoke(issued.processId);
  assert.equal(cancelKeys.find(issued.processId, issued.secret), null);
});

// ---- the target during authentication ----

const salt = Buffer.from('salt-of-16-bytes');
const sasl = message('R', int32(10), 'SCRAM-SHA-256\0\0');

/** A target that knows the password, so that each of its answers can be falsified. */
function scramServer(played: Script, password = 'secret') {
  const initial = played.target.take().toString('latin1');
  const bare = /n=,r=.*$/s.exec(initial)![0];
  const nonce = bare.slice('n=,r='.length);
  const first = (extended = `${nonce}server`, iterations = 4096) =>
    `r=${extended},s=${salt.toString('base64')},i=${iterations}`;
  const final = (serverFirst: string): string => {
    const response = played.target.take().subarray(5).toString('latin1');
    const withoutProof = response.slice(0, response.indexOf(',p='));
    const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
    return `v=${hmac(hmac(salted, 'Server Key'), `${bare},${serverFirst},${withoutProof}`).toString('base64')}`;
  };
  return { nonce, first, final };
}

async function authenticating(): Promise<Script> {
  const played = await said(startupMessage());
  played.target.take();
  played.target.send(sasl);
  await played.settle();
  return played;
}

const settled = async (played: Script): Promise<void> => {
  for (let i = 0; i < 200 && played.target.received.length === 0 && !played.client.ended; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // the key derivation runs in another thread
  }
};

test('SCRAM: the whole exchange is accepted only with the server’s own proof', async () => {
  const played = await authenticating();
  const server = scramServer(played);
  played.target.send(message('R', int32(11), server.first()));
  await settled(played);
  played.target.send(Buffer.concat([message('R', int32(12), server.final(server.first())), ok, ready()]));
  await played.settle();
  assert.equal(await played.relay.ready, true);
});

test('SCRAM: nonce, iterations, extensions, signature and order are checked', async () => {
  type Forge = (server: ReturnType<typeof scramServer>) => Buffer;
  const atFirst: [string, Forge][] = [
    ['a nonce of its own', ({ first }) => message('R', int32(11), first('another-nonce-entirely'))],
    ['the nonce unextended', ({ first, nonce }) => message('R', int32(11), first(nonce))],
    ['too few iterations', ({ first }) => message('R', int32(11), first(undefined, 1))],
    ['too many iterations', ({ first }) => message('R', int32(11), first(undefined, 999_999_999))],
    ['a mandatory extension', ({ first }) => message('R', int32(11), `m=x,${first()}`)],
    ['no salt', ({ nonce }) => message('R', int32(11), `r=${nonce}x,i=4096`)],
    ['AuthenticationOk instead', () => Buffer.concat([ok, ready()])],
    ['the final step too early', () => message('R', int32(12), 'v=AAAA')],
    ['a cleartext request', () => message('R', int32(3))],
  ];
  for (const [name, forge] of atFirst) {
    const played = await authenticating();
    const server = scramServer(played);
    played.target.send(forge(server));
    await settled(played);
    assert.equal(told(played).sqlstate, '08004', name);
    assert.equal(played.gate.reason, 'postgres-authentication-forged', name);
    assert.ok(!played.target.received.includes('p='), name);
  }
  const atEnd: [string, Forge][] = [
    [
      'a wrong signature',
      () => Buffer.concat([message('R', int32(12), `v=${Buffer.alloc(32).toString('base64')}`), ok, ready()]),
    ],
    ['no signature', () => Buffer.concat([message('R', int32(12), ''), ok, ready()])],
    ['a short signature', () => Buffer.concat([message('R', int32(12), 'v=AAAA'), ok, ready()])],
    ['AuthenticationOk without a signature', () => Buffer.concat([ok, ready()])],
  ];
  for (const [name, forge] of atEnd) {
    const played = await authenticating();
    const server = scramServer(played);
    played.target.send(message('R', int32(11), server.first()));
    await settled(played);
    played.target.send(forge(server));
    await played.settle();
    assert.equal(told(played).sqlstate, '08004', name);
    assert.equal(await played.relay.ready, false, name);
  }
});

test('SCRAM: with nonce, salt and password of RFC 7677’s example, the proof is what its formulas give', async () => {
  // Not the RFC's own messages: its user name is part of its proof, and PostgreSQL's exchange leaves the name empty. So
  // the expected proof is computed here, independently.
  const exchange = new ScramExchange('pencil', new ScramKeys(), { kind: 'none' }, 'rOprNGfwEbeRWgbNEkqO');
  assert.equal(exchange.clientFirst, 'n,,n=,r=rOprNGfwEbeRWgbNEkqO');
  const first = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
  const final = await exchange.clientFinal(first);
  const without = 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const salted = pbkdf2Sync('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const text = `n=,r=rOprNGfwEbeRWgbNEkqO,${first},${without}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), text);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
  assert.equal(final, `${without},p=${proof.toString('base64')}`);
  assert.throws(() => endPointHash(Buffer.from('no certificate')));
});

test('a target that announces without end during start-up is given up', async () => {
  const played = await said(startupMessage());
  played.target.send(ok);
  for (let i = 0; i < 20; i++) {
    played.target.send(message('N', `M${'x'.repeat(60_000)}\0\0`));
    await played.settle();
  }
  assert.equal(told(played).sqlstate, '54000');
  assert.ok(played.target.closed);
});

test('the target’s words about the credential do not reach the client; those about the request do', async () => {
  const cases: [Buffer, string, RegExp][] = [
    [
      error('28P01', 'password authentication failed for user "app"'),
      '08004',
      /refused the relay’s credential/,
    ],
    [
      error('28000', 'no pg_hba.conf entry for host "10.1.2.3", user "app"'),
      '08004',
      /refused the relay’s credential/,
    ],
    [error('53300', 'role "app" has too many connections'), '53300', /^the target refused the connection$/],
    [error('53300', 'sorry, too many clients already'), '53300', /^sorry, too many clients already$/],
    [error('22023', 'invalid value for parameter "x"'), '22023', /^invalid value for parameter "x"$/],
  ];
  for (const [bytes, sqlstate, expected] of cases) {
    const played = await said(startupMessage());
    played.target.send(bytes);
    await played.settle();
    assert.equal(told(played).sqlstate, sqlstate);
    assert.match(told(played).message, expected);
  }
});

test('TLS is required: a target without it, or with bytes ahead of the handshake, is refused', async () => {
  for (const answer of [
    Buffer.from('N'),
    error('28000', 'secret text of whoever answers'),
    Buffer.from('Sx'),
  ]) {
    const played = script({ target: { tls: 'verify-full' } });
    played.client.send(startupMessage());
    await played.settle();
    assert.deepEqual(played.target.take(), packet(int32(80_877_103)));
    played.target.send(answer);
    await played.settle();
    assert.match(told(played).message, /TLS/);
    assert.equal(played.target.received.length, 0);
    assert.ok(played.target.closed);
  }
});

// ---- the end, in every phase ----

test('fail and disconnect clean up in every phase', async () => {
  const phases: [string, () => Promise<Script>][] = [
    ['before start-up', () => said()],
    ['dialled', () => said(startupMessage())],
    ['authenticating', authenticating],
    ['idle', () => started()],
    [
      'in a query',
      async () => {
        const played = await started();
        played.client.send(query('select 1'));
        await played.settle();
        return played;
      },
    ],
  ];
  for (const [name, reach] of phases) {
    const failed = await reach();
    failed.relay.fail({ sqlstate: '57P01', message: 'over', hint: 'why' });
    await failed.settle();
    assert.deepEqual([told(failed).sqlstate, told(failed).hint], ['57P01', 'why'], name);
    failed.client.channel.end();
    await failed.relay.closed;
    assert.ok(
      failed.targets.every(({ closed }, i) => closed || i > 0),
      name,
    );
    assert.equal(failed.gate.reason, 'postgres-ended', name);

    const left = await reach();
    left.client.channel.destroy();
    await left.settle();
    if (name === 'in a query') assert.ok(left.target.ended, 'PostgreSQL finishes what it was sent');
    for (const target of left.targets) target.channel.end();
    await left.relay.closed;
    assert.match(left.gate.reason!, /^(postgres-client-gone|client-disconnected)$/, name);
    for (const { text, outcomes } of [...failed.gate.commands, ...left.gate.commands])
      assert.equal(outcomes.length, 1, text);
  }
});

test('what runs when the session is ended is cancelled at the target with the target’s key', async () => {
  const played = await started();
  played.client.send(query('select pg_sleep(1000)'));
  await played.settle();
  played.relay.fail({ sqlstate: '57P01', message: 'over', hint: null });
  await played.settle();
  assert.equal(played.targets.length, 2);
  assert.deepEqual(
    played.targets[1]!.received,
    packet(int32(80_877_102, targetKey.processId), targetKey.secret),
  );
});

test('a cancel request that the target never takes ends with its connection', async () => {
  const cancelKeys = new CancelKeys();
  const key = cancelKeys.issue({ target: targetKey, cancelHeld: () => false }, 4);
  const played = script({ cancelKeys });
  played.client.send(packet(int32(80_877_102, key.processId), key.secret));
  await played.settle();
  assert.ok(!played.target.closed);
  played.relay.fail({ sqlstate: '57P01', message: 'over', hint: null });
  await played.settle();
  assert.ok(played.target.closed);
});

test('an error is never put into the middle of a message', async () => {
  const played = await started();
  played.client.send(query('select 1'));
  played.target.send(message('D', int16(1), int32(10_000), 'x'.repeat(10_000)).subarray(0, 500));
  await played.settle();
  assert.equal(played.client.received.length, 500);
  played.relay.fail({ sqlstate: '57P01', message: 'over', hint: null });
  await played.settle();
  assert.equal(played.client.received.length, 500);
  assert.ok(played.client.closed);
});

test('the target goes away: between messages the client is told, and once', async () => {
  const played = await started();
  played.client.send(query('select 1'));
  played.target.channel.destroy();
  await played.settle();
  assert.equal(told(played).sqlstate, '08006');
  assert.ok(played.client.ended);
  assert.deepEqual(played.gate.summary(), ['select 1 → cancelled null 0 08006']);
  const explained = await started();
  explained.target.send(error('57P01', 'terminating connection'));
  explained.target.channel.end();
  await explained.settle();
  assert.deepEqual(explained.client.received, error('57P01', 'terminating connection'));
});

test('a connection says that it has ended while its client still holds on, and closes when the client is gone', async () => {
  const { relay, client, target, settle } = await started();
  let [ended, closed] = [false, false];
  void relay.ended.then(() => (ended = true));
  void relay.closed.then(() => (closed = true));
  await settle();
  assert.deepEqual([ended, closed], [false, false]);
  target.channel.destroy();
  await settle();
  assert.deepEqual([ended, closed], [true, false]);
  client.channel.destroy();
  await settle();
  assert.deepEqual([ended, closed], [true, true]);
});

test('nothing leaves, either way, before the gate releases it', async () => {
  const played = await started();
  played.gate.manual = true;
  played.client.send(query('select 1'));
  await played.settle();
  assert.equal(played.target.received.length, 0);
  played.gate.release();
  assert.deepEqual(played.target.received, query('select 1'));
  played.target.send(message('C', 'SELECT 0\0'));
  await played.settle();
  assert.equal(played.client.received.length, 0);
  played.gate.release();
  assert.deepEqual(played.client.received, message('C', 'SELECT 0\0'));
});

test('back-pressure, both ways: a sender waits while its receiver or the record does', async () => {
  const played = await started();
  const [clientSide, targetSide] = [played.client.channel.peer, played.target.channel.peer];
  clientSide.full = true;
  played.client.send(query('select 1'));
  played.target.send(message('D', int16(0)));
  await played.settle();
  assert.ok(targetSide.paused && !clientSide.paused, 'the client does not take it');
  clientSide.drain();
  assert.ok(!targetSide.paused);
  targetSide.full = true;
  played.client.send(query('select 2'));
  await played.settle();
  assert.ok(clientSide.paused && !targetSide.paused, 'the target does not take it');
  targetSide.drain();
  assert.ok(!clientSide.paused);
  played.gate.manual = true;
  played.target.send(message('D', int16(1), int32(2_000_000), Buffer.alloc(2_000_000)));
  assert.ok(targetSide.paused, 'the record does not take it');
  played.gate.release();
  assert.ok(!targetSide.paused);
});

test('a client that left while rows came: they are not recorded as delivered, and the query is cancelled', async () => {
  const played = await started();
  played.client.send(query('select 1'));
  await played.settle();
  played.client.channel.destroy();
  await played.settle();
  assert.equal(played.gate.outputs.length, 0);
  played.target.send(message('D', int16(0)));
  await played.settle();
  assert.equal(played.gate.outputs.length, 0);
  assert.deepEqual(played.gate.summary(), ['select 1 → cancelled null 1 08006']);
  assert.equal(played.targets.length, 2, 'cancelled');
});

test('a flood of messages without an answer makes the client wait, not the relay grow', async () => {
  const played = await started();
  const many = Buffer.concat(Array.from({ length: 70_000 }, () => message('S')));
  played.client.send(many);
  await played.settle();
  assert.ok(played.client.channel.peer.paused);
  played.target.send(Buffer.concat(Array.from({ length: 70_000 }, () => ready())));
  await played.settle();
  assert.ok(!played.client.channel.peer.paused);
  assert.equal(played.gate.reason, null);
});
