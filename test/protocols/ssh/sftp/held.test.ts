/** Requests that wait for people, and what goes on meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FinalVerdict, Verdict } from '../../../../src/gate/gate.ts';
import { allow, deny, names, review } from '../support.ts';
import {
  close,
  data,
  extended,
  Fxp,
  handle,
  onPath,
  open,
  read,
  readable,
  request,
  started,
  status,
} from './packets.ts';
import { string, uint32 } from './packets.ts';
import type { Played } from './packets.ts';

const notice = { review: '01R', needed: ['leads (1)'], expiresAtMs: 0 };
const holding = (): Played => started((facts) => (names('/h/')(facts) ? review : allow));

function decide({ gate }: Played, verdict: FinalVerdict): void {
  gate.decide(verdict);
}

test('only the held request waits; approved it goes as it was', () => {
  const played = holding();
  const held = open(1, '/h/x', 1);
  played.fromClient(held);
  assert.equal(played.target.all().length, 0);
  played.gate.held[0]!.listener.held(notice);
  assert.deepEqual(played.told, [
    'get /h/x is held for review 01R; approve: hoop approve 01R; needs leads (1)',
  ]);
  assert.ok(played.ask(open(2, '/y', 1), handle(2, 'y')));
  decide(played, allow);
  assert.deepEqual(played.target.all(), held);
  played.fromTarget(handle(1, 'x'));
  assert.ok(played.ask(read(3, 'x', 0, 9), data(3, 'abc')));
  assert.ok(played.ask(close(3, 'x'), status(3)));
  assert.match(played.gate.summary().at(-1)!, /^get \/h\/x → succeeded 3 bytes sha256:/);
});

test('rejected it is answered in its place', () => {
  const played = holding();
  played.fromClient(onPath(Fxp.remove, 1, '/h/x'));
  played.gate.held[0]!.listener.held(notice);
  decide(played, { kind: 'deny', policies: ['p'], hint: 'Not today.' });
  assert.equal(played.target.all().length, 0);
  assert.deepEqual(readable(played.client.all()), ['status 1 3 permission denied in review 01R. Not today.']);
  assert.deepEqual(played.gate.summary(), ['remove /h/x → blocked null 0 SSH_FX_PERMISSION_DENIED']);
});

test('people are asked about one after the other, and policy is asked again when its turn comes', () => {
  let verdict: Verdict = review;
  const played = started(() => verdict);
  for (const id of [1, 2, 3]) played.fromClient(onPath(Fxp.remove, id, `/h/${id}`));
  assert.deepEqual(
    played.gate.held.map(({ text }) => text),
    ['remove /h/1'],
  );
  decide(played, allow);
  assert.deepEqual(
    played.gate.held.map(({ text }) => text),
    ['remove /h/1', 'remove /h/2'],
  );
  verdict = deny;
  decide(played, allow);
  assert.deepEqual(readable(played.target.all()), ['13 1', '13 2']);
  assert.match(readable(played.client.all())[0]!, /^status 3 3 permission denied by policy no-secrets/);
  assert.equal(played.gate.held.length, 2);
});

test('the id of a held request is taken, and the target cannot answer it', () => {
  const played = holding();
  played.fromClient(onPath(Fxp.remove, 1, '/h/x'));
  assert.throws(() => played.fromTarget(status(1)), { code: 'sftp-unexpected-packet' });
  const other = holding();
  other.fromClient(onPath(Fxp.remove, 1, '/h/x'));
  assert.throws(() => other.fromClient(onPath(Fxp.stat, 1, '/y')), { code: 'sftp-unexpected-packet' });
});

test('the end of the channel withdraws what is held, and nothing leaves', () => {
  const played = holding();
  for (const id of [1, 2]) played.fromClient(onPath(Fxp.remove, id, `/h/${id}`));
  played.exchange.ended();
  assert.equal(played.gate.held[0]!.withdrawn, 'disconnected');
  assert.deepEqual(played.gate.summary(), [
    'remove /h/1 → cancelled null 0 withdrawn',
    'remove /h/2 → cancelled null 0 withdrawn',
  ]);
  played.gate.held[0]!.listener.decided(allow);
  assert.equal(played.target.all().length, 0);
});

test('an approved request on a handle that was closed meanwhile is not sent: it may be another file’s by now', () => {
  const played = started(({ effects }) => (effects.includes('privilege') ? review : allow));
  played.ask(open(1, '/f', 2), handle(1, 'h'));
  played.fromClient(request(Fxp.fsetstat, 2, string('h'), uint32(4), uint32(0o644)));
  assert.ok(played.ask(close(3, 'h'), status(3)));
  assert.ok(played.ask(open(4, '/g', 2), handle(4, 'h')));
  decide(played, allow);
  assert.equal(played.target.all().length, 0);
  assert.deepEqual(readable(played.client.all()), ['status 2 4 unknown handle']);
  assert.equal(played.gate.summary().at(-1), 'setstat /f mode=0644 → failed null 0 SSH_FX_FAILURE');
});

test('no more wait than the bound', () => {
  const played = holding();
  for (let id = 0; id < 64; id++) played.fromClient(onPath(Fxp.remove, id, '/h/x'));
  assert.equal(played.client.all().length, 0);
  played.fromClient(extended(99, 'hardlink@openssh.com', string('/h/x'), string('/h/y')));
  assert.deepEqual(readable(played.client.all()), ['status 99 4 too many requests wait for reviews']);
  assert.deepEqual(played.gate.summary(), ['hardlink /h/x /h/y → blocked null 0 SSH_FX_FAILURE']);
});

test('an approved request never stands inside a WRITE that is passing', () => {
  const played = holding();
  played.ask(open(1, '/f', 2), handle(1, 'h'));
  const held = onPath(Fxp.remove, 2, '/h/x');
  played.fromClient(held);
  const passing = request(Fxp.write, 3, string('h'), uint32(0), uint32(0), string('some data'));
  played.fromClient(passing.subarray(0, 30));
  decide(played, allow);
  played.fromClient(passing.subarray(30));
  assert.deepEqual(played.target.all(), Buffer.concat([passing, held]));
});
