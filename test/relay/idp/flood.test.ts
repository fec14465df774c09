import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Flood } from '../../../src/relay/idp/flood.ts';
import { codeOf, ShiftedClock, startRelay, type TestRelay } from './relay.ts';

let relay: TestRelay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.close());

test('a network has so many requests a minute; others are not touched', () => {
  const clock = new ShiftedClock();
  const flood = new Flood(clock, 3);
  assert.deepEqual(
    Array.from({ length: 4 }, () => flood.admits('192.0.2.1')),
    [true, true, true, false],
  );
  assert.equal(flood.admits('192.0.2.2'), true);
  clock.offsetMs += 60_000;
  assert.equal(flood.admits('192.0.2.1'), true);
});

test('its memory is bounded: beyond so many networks new ones wait', () => {
  const flood = new Flood(new ShiftedClock(), 3);
  for (let i = 0; i < 50_000; i++) assert.ok(flood.admits(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
  assert.equal(flood.admits('192.0.2.1'), false);
  assert.equal(flood.admits('10.0.0.0'), true);
});

const post = (target: string, body: URLSearchParams | string) => () =>
  fetch(`${relay.relay}${target}`, {
    method: 'POST',
    body,
    ...(typeof body === 'string' ? { headers: { 'content-type': 'application/json' } } : {}),
  });

/** Asks until the answer is no longer the first one; after far too many it gives up. */
async function until(status: number, ask: () => Promise<Response>): Promise<Response> {
  for (let i = 0; i < 400; i++) {
    const answer = await ask();
    if (answer.status === status) return answer;
    await answer.arrayBuffer();
  }
  throw new Error(`never answered ${status}`);
}

test('a stranger who asks for codes or sends proofs without end is refused', async () => {
  const grant = new URLSearchParams({ client_id: 'hoop-cli', scope: 'openid' });
  assert.equal((await post('/idp/device/auth', grant)()).status, 200);
  const stranger = new URLSearchParams({ client_id: 'nobody' });
  await until(429, post('/idp/device/auth', stranger));
  assert.equal((await post('/idp/device/auth', grant)()).status, 429);
  // The form for the password too: each try is counted in the state.
  const form = new URLSearchParams({ email: 'ana@example.com', password: 'guess' });
  assert.equal((await post('/idp/interaction/unknown', form)()).status, 429);

  assert.equal(await codeOf(await post('/v1/login', '{}')()), 'dpop-proof-missing');
  assert.equal(await codeOf(await until(503, post('/v1/login', '{}'))), 'relay-overloaded');
});
