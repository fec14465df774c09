/** The https destination against a real TLS server: what it answers, and when it wants to be asked again. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Cursor } from '../../../src/relay/streams/cursor.ts';
import { HttpsDestination, parseRetryAfter } from '../../../src/relay/streams/https.ts';
import { pump } from '../../../src/relay/streams/pump.ts';
import { samples } from '../../evidence/export/samples.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { missing } from '../../support/programs.ts';

const skip = missing('openssl');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-https-destination-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Answers with each in turn, then with 202. */
interface Answer {
  readonly status: number;
  readonly retryAfter?: () => string;
}

async function receiver(answers: Answer[]) {
  const authority = await makeAuthority(path.join(directory, 'tls'));
  const { certFile, keyFile } = await authority.issue('localhost', ['localhost']);
  const askedAt: number[] = [];
  const server = createServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    (request, response) => {
      askedAt.push(performance.now());
      const { status, retryAfter } = answers.shift() ?? { status: 202 };
      request.resume();
      request.on('end', () =>
        response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter() }).end(),
      );
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const destination = new HttpsDestination(new URL(`https://localhost:${port}/in`), {
    token: null,
    ca: () => readFileSync(authority.caFile, 'utf8'),
    client: null,
  });
  return {
    destination,
    askedAt,
    [Symbol.asyncDispose]: async () => {
      destination.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function* leaves() {
  yield { index: 0, events: [samples[0]!] };
  yield null;
}

test('a receiver that says when is asked again then, and not before', { skip }, async () => {
  const failures: string[] = [];
  await using web = await receiver([
    { status: 503, retryAfter: () => '1' },
    { status: 429, retryAfter: () => new Date(Date.now() + 3_000).toUTCString() },
    { status: 500, retryAfter: () => '3600' },
    { status: 503, retryAfter: () => 'soon' },
  ]);
  const cursor = await Cursor.open(path.join(directory, 'cursor.json'), { log: 'l', to: 't' }, 0);
  await pump({
    leaves: leaves(),
    cursor,
    destination: web.destination,
    format: 'jsonl',
    signal: new AbortController().signal,
    retryMs: 10,
    onFailure: (error) => failures.push(String(error)),
    onDelivered: () => undefined,
  });
  assert.equal(cursor.next, 1);
  assert.equal(failures.length, 4);
  const pauses = web.askedAt.slice(1).map((ms, at) => ms - web.askedAt[at]!);
  assert.ok(pauses[0]! >= 990, `seconds: ${pauses[0]}`);
  // An HTTP date is of whole seconds.
  assert.ok(pauses[1]! >= 1_990, `a date: ${pauses[1]}`);
  assert.ok(pauses[2]! < 1000 && pauses[3]! < 1000, 'of another status, or unreadable: the usual pause');
});

test('Retry-After: seconds or an HTTP date, an hour at most; what cannot be read does not count', () => {
  const now = Date.UTC(2026, 10, 6, 8, 49, 37);
  for (const [header, ms] of [
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7000],
    ['3601', 3_600_000],
    ['9'.repeat(400), 3_600_000],
    ['Fri, 06 Nov 2026 08:50:07 GMT', 30_000],
    ['Fri, 06 Nov 2026 08:00:00 GMT', 0],
    ['Fri, 06 Nov 2037 08:49:37 GMT', 3_600_000],
    ['Fri, 66 Nov 2026 08:50:07 GMT', null],
    ['-1', null],
    ['1.5', null],
    ['1e3', null],
    ['0x10', null],
    ['', null],
    ['2026-11-06T08:50:07Z', null],
    ['Fri Nov  6 08:50:07 2026', null],
    [['1', '2'], null],
    [undefined, null],
  ] as const)
    assert.equal(parseRetryAfter(header === undefined || typeof header === 'string' ? header : [...header], now), ms, String(header)); // prettier-ignore
});
