/** Packets that no honest end sends: an error that ends the channel, or an answer; never passed, never out of bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoopError } from '../../../../src/errors.ts';
import type { FactsPolicy } from '../support.ts';
import { allow, deny, names, review } from '../support.ts';
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
  opened,
  Played,
  read,
  readable,
  request,
  started,
  status,
  string,
  uint32,
  uint64,
  write,
} from './packets.ts';

const ofCode = (code: string) => ({ code });

function clientSends(bytes: Buffer, code: string, played = opened(3)): void {
  assert.throws(() => played.fromClient(bytes), ofCode(code));
  assert.equal(played.target.all().length, 0);
  played.exchange.ended();
}

function targetSends(bytes: Buffer, code: string, played = opened(3)): void {
  played.client.all();
  assert.throws(() => played.fromTarget(bytes), ofCode(code));
  assert.equal(played.client.all().length, 0);
  played.exchange.ended();
}

const length = (value: number, type: number): Buffer => Buffer.concat([uint32(value), Buffer.of(type)]);

test('lengths are checked when the type is there, before anything is kept', () => {
  clientSends(length(0xffffffff, Fxp.write), 'sftp-packet-too-large');
  clientSends(length(263_169, Fxp.write), 'sftp-packet-too-large');
  clientSends(length(32_769, Fxp.open), 'sftp-packet-too-large');
  clientSends(length(0, Fxp.open), 'sftp-malformed-packet');
  clientSends(encodePacket(Fxp.open, Buffer.of(0)), 'sftp-malformed-packet');
  targetSends(length(263_169, Fxp.data), 'sftp-packet-too-large');
  targetSends(length(0, Fxp.data), 'sftp-malformed-packet');
});

const longer = (packet: Buffer): Buffer => {
  const made = Buffer.concat([packet, Buffer.of(0)]);
  made.writeUInt32BE(made.length - 4);
  return made;
};

test('requests that are not as long as their fields', () => {
  for (const [sent, code] of [
    [longer(write(5, 'h', 0, 'x')), 'sftp-malformed-packet'],
    [longer(read(5, 'h', 0, 1)), 'sftp-malformed-packet'],
    [longer(close(5, 'h')), 'sftp-malformed-packet'],
    [longer(onPath(Fxp.stat, 5, '/a')), 'bytes-trailing'],
    [request(Fxp.stat, 5, uint32(9), Buffer.from('/a')), 'bytes-truncated'],
    [request(Fxp.write, 5, string(Buffer.alloc(257)), uint64(0), string('')), 'sftp-malformed-packet'],
    [request(Fxp.write, 5), 'sftp-malformed-packet'],
    [onPath(Fxp.setstat, 5, '/a', uint32(0x10)), 'sftp-malformed-packet'],
    [onPath(Fxp.setstat, 5, '/a', uint32(0x80000000), uint32(0xffffffff)), 'bytes-truncated'],
    [onPath(Fxp.stat, 5, '/a\0b'), 'sftp-malformed-packet'],
    [request(Fxp.data, 5, string('x')), 'sftp-unexpected-packet'],
    [request(22, 5, string('x')), 'sftp-unexpected-packet'],
    [init(), 'sftp-unexpected-packet'],
  ] as [Buffer, string][])
    clientSends(sent, code);
});

test('an id that is not answered may not be used again', () => {
  const played = opened(3);
  played.fromClient(read(5, 'h', 0, 1));
  played.target.all();
  clientSends(read(5, 'h', 1, 1), 'sftp-unexpected-packet', played);
});

test('paths that no file can have are refused here', () => {
  const played = started();
  for (const path of ['a'.repeat(4097), 'a/'.repeat(300)]) {
    played.fromClient(onPath(Fxp.remove, 5, path));
    assert.match(readable(played.client.all())[0]!, /^status 5 4 path (too long|nested too deep)$/);
  }
  played.fromClient(open(5, '/a', 0x41));
  assert.deepEqual(readable(played.client.all()), ['status 5 8 unsupported flags of open']);
  assert.equal(played.target.all().length, 0);
  assert.equal(played.gate.commands.length, 0);
});

const greeted = (): Played => {
  const played = new Played();
  played.fromClient(init());
  played.target.all();
  return played;
};

test('the version: nothing before it, and only 3', () => {
  clientSends(onPath(Fxp.stat, 1, '/a'), 'sftp-unexpected-packet', new Played());
  clientSends(init(2), 'sftp-unsupported-version', new Played());
  targetSends(encodePacket(Fxp.version, uint32(3)), 'sftp-unexpected-packet', new Played());
  clientSends(onPath(Fxp.stat, 1, '/a'), 'sftp-unexpected-packet', greeted());
  targetSends(encodePacket(Fxp.version, uint32(4)), 'sftp-unsupported-version', greeted());
  targetSends(status(3), 'sftp-unexpected-packet', greeted());
  const versioned = greeted();
  versioned.fromTarget(encodePacket(Fxp.version, uint32(3)));
  targetSends(namesOf(1, '/x'), 'sftp-unexpected-packet', versioned);
});

const asked = (sent: Buffer): Played => {
  const played = opened(3);
  played.fromClient(sent);
  return played;
};

test('answers of the target that no request has, or may not have', () => {
  targetSends(status(5), 'sftp-unexpected-packet');
  targetSends(attrs(5), 'sftp-unexpected-packet', asked(read(5, 'h', 0, 9)));
  targetSends(status(5), 'sftp-unexpected-packet', asked(read(5, 'h', 0, 9)));
  targetSends(data(5, '0123456789'), 'sftp-unexpected-packet', asked(read(5, 'h', 0, 9)));
  targetSends(
    request(Fxp.data, 5, uint32(9), Buffer.from('x')),
    'sftp-malformed-packet',
    asked(read(5, 'h', 0, 9)),
  );
  targetSends(data(5, 'x'), 'sftp-unexpected-packet', asked(onPath(Fxp.stat, 5, '/a')));
  targetSends(status(5), 'sftp-unexpected-packet', asked(open(5, '/a', 1)));
  targetSends(handle(5, 'h'), 'sftp-unexpected-packet', asked(open(5, '/a', 1)));
  targetSends(handle(5, 'x'.repeat(257)), 'sftp-malformed-packet', asked(open(5, '/a', 1)));
  targetSends(
    request(Fxp.name, 5, uint32(0xffffffff)),
    'bytes-truncated',
    asked(onPath(Fxp.readlink, 5, '/a')),
  );
  targetSends(request(Fxp.status, 5), 'bytes-truncated', asked(onPath(Fxp.remove, 5, '/a')));
});

test('the client is made to wait when much is not answered, and ended when it does not', () => {
  const played = opened(1);
  for (let id = 10; id < 1034; id++) {
    assert.ok(!played.exchange.blocked);
    played.fromClient(read(id, 'h', 0, 1));
  }
  assert.ok(played.exchange.blocked);
  played.fromTarget(data(10, 'x'));
  assert.ok(!played.exchange.blocked);
  assert.throws(() => {
    for (let id = 2000; ; id++) played.fromClient(read(id, 'h', 0, 1));
  }, ofCode('sftp-too-many-requests'));
});

const policy: FactsPolicy = (facts) => (names('/no')(facts) ? deny : names('/ask')(facts) ? review : allow);

test('whatever both ends send, it is an error or nothing, and every command has one outcome', () => {
  const ids = fc.integer({ min: 1, max: 4 });
  const paths = fc.constantFrom('/no', '/ask', '/a', 'b', '../..', '');
  const handles = fc.constantFrom('h', 'i');
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const requests = fc.oneof(
    fc.tuple(ids, paths, fc.integer({ min: 0, max: 63 })).map(([id, path, flags]) => open(id, path, flags)),
    fc.tuple(ids, handles, fc.nat(99), noise).map(([id, name, at, bytes]) => write(id, name, at, bytes)),
    fc.tuple(ids, handles, fc.nat(99)).map(([id, name, at]) => read(id, name, at, 40)),
    fc.tuple(ids, handles).map(([id, name]) => close(id, name)),
    fc
      .tuple(fc.integer({ min: 5, max: 20 }), ids, paths, paths)
      .map(([type, id, a, b]) => onPath(type, id, a, string(b))),
    fc
      .tuple(ids, paths)
      .map(([id, path]) => extended(id, 'hardlink@openssh.com', string(path), string('/x'))),
    fc.tuple(fc.nat(255), ids, noise).map(([type, id, bytes]) => request(type, id, bytes)),
    noise,
  );
  const answers = fc.oneof(
    fc.tuple(ids, fc.nat(4)).map(([id, code]) => status(id, code)),
    fc.tuple(ids, handles).map(([id, name]) => handle(id, name)),
    fc.tuple(ids, noise).map(([id, bytes]) => data(id, bytes)),
    ids.map((id) => namesOf(id, 'x')),
    ids.map((id) => attrs(id)),
    noise,
  );
  const turn = fc.record({
    sent: requests,
    answered: answers,
    cut: fc.integer({ min: 1, max: 50 }),
    decide: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 30 }), (turns) => {
      const played = started(policy);
      try {
        for (const { sent, answered, cut, decide } of turns) {
          played.fromClient(sent, cut);
          if (decide && played.gate.held.at(-1)?.withdrawn === null) {
            played.gate.held.at(-1)!.withdrawn = 'decided';
            played.gate.decide(allow);
          }
          played.fromTarget(answered, cut);
        }
      } catch (error) {
        assert.ok(error instanceof HoopError, String(error));
      }
      played.exchange.ended();
      for (const { text, outcomes } of played.gate.commands) assert.equal(outcomes.length, 1, text);
    }),
    { numRuns: 2000 },
  );
});
