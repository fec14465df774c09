/** Calls to a relay, against a scripted server: nonce, renewal, refusals, broken answers, trust, limits. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { AgentError } from '../../src/agent/error.ts';
import { HttpClient } from '../../src/agent/http.ts';
import { RelayProblem } from '../../src/agent/problem.ts';
import { discover, RelayClient } from '../../src/agent/relay-client.ts';
import type { CallerSource } from '../../src/agent/relay-client.ts';
import { generateLoginKey, importLoginKey } from '../../src/identity/login-key.ts';
import { makeAuthority } from '../support/certificates.ts';

const key = await importLoginKey(await generateLoginKey());
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function serve(
  handler: http.RequestListener,
  server: http.Server | https.Server = http.createServer(),
) {
  server.on('request', handler);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function clientOf(port: number, source?: CallerSource) {
  const client = await HttpClient.open(`http://127.0.0.1:${port}`, null);
  closing.push(() => client.close());
  const fixed = { caller: async () => ({ key, accessToken: 'token-1' }) };
  return new RelayClient(`http://127.0.0.1:${port}`, client, source ?? fixed);
}

const problem = (response: http.ServerResponse, status: number, code: string, more: object = {}) =>
  response
    .writeHead(status, { 'content-type': 'application/problem+json', 'dpop-nonce': 'nonce-2' })
    .end(JSON.stringify({ title: 'No.', status, code, ...more }));
const Ok = z.object({ ok: z.boolean() });

test('the relay asks for its nonce once; each call has a fresh proof for its method, URL and token', async () => {
  const proofs: Record<string, unknown>[] = [];
  const port = await serve((request, response) => {
    const claims = decodeJwt(String(request.headers.dpop));
    proofs.push({ ...claims, authorization: request.headers.authorization });
    if (claims['nonce'] !== 'nonce-2') problem(response, 401, 'dpop-nonce-required');
    else response.end('{"ok":true}');
  });
  const client = await clientOf(port);
  await client.get('/v1/a?x=1', Ok);
  await client.post('/v1/b', { some: 'body' }, Ok);
  assert.deepEqual(
    proofs.map(({ htm, htu, nonce, authorization }) => ({ htm, htu, nonce, authorization })),
    [
      { htm: 'GET', htu: `http://127.0.0.1:${port}/v1/a`, nonce: undefined, authorization: 'DPoP token-1' },
      { htm: 'GET', htu: `http://127.0.0.1:${port}/v1/a`, nonce: 'nonce-2', authorization: 'DPoP token-1' },
      { htm: 'POST', htu: `http://127.0.0.1:${port}/v1/b`, nonce: 'nonce-2', authorization: 'DPoP token-1' },
    ],
  );
  assert.equal(new Set(proofs.map(({ jti }) => jti)).size, 3);
});

test('a relay that is never content with the nonce is not asked for ever', async () => {
  let calls = 0;
  const port = await serve((_, response) => {
    calls++;
    problem(response, 401, 'dpop-nonce-required');
  });
  await assert.rejects((await clientOf(port)).get('/v1/a', Ok), { code: 'dpop-nonce-required', status: 401 });
  assert.equal(calls, 3);
});

test('a refused token is renewed once and the call repeated', async () => {
  const refusals: (string | null)[] = [];
  const port = await serve((request, response) => {
    if (request.headers.authorization === 'DPoP token-2') response.end('{"ok":true}');
    else problem(response, 401, 'access-token-expired');
  });
  const client = await clientOf(port, {
    caller: async (refused) => {
      refusals.push(refused);
      return { key, accessToken: refused === null ? 'token-1' : 'token-2' };
    },
  });
  assert.deepEqual(await client.get('/v1/a', Ok), { ok: true });
  assert.deepEqual(refusals, [null, 'token-1']);
});

test('a refusal keeps the relay’s code, hint and status', async () => {
  const port = await serve((_, response) => {
    problem(response, 403, 'connect-denied', { title: 'You may not.', hint: 'ask Lea' });
  });
  await assert.rejects((await clientOf(port)).get('/v1/a', Ok), (error) => {
    assert.ok(error instanceof RelayProblem);
    assert.deepEqual(
      [error.code, error.message, error.hint, error.status],
      ['connect-denied', 'You may not.', 'ask Lea', 403],
    );
    return true;
  });
});

test('answers that are none: HTML, another schema, too long, cut', async () => {
  const port = await serve((request, response) => {
    if (request.url === '/html') response.writeHead(502).end('<html>Bad Gateway</html>');
    if (request.url === '/schema') response.end('{"ok":"perhaps"}');
    if (request.url === '/text') response.end('hello');
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': '100' }).write('{"ok":');
      response.destroy();
    }
    if (request.url === '/long') {
      const block = Buffer.alloc(1 << 20, 0x20);
      let blocks = 0;
      const more = () => {
        while (blocks++ < 64) if (!response.write(block)) return void response.once('drain', more);
        response.end();
      };
      more();
    }
  });
  const client = await clientOf(port);
  const refuses = (place: string, code: string) => assert.rejects(client.get(place, Ok), { code });
  await refuses('/html', 'relay-answer-invalid');
  await refuses('/schema', 'relay-answer-invalid');
  await refuses('/text', 'relay-answer-invalid');
  await refuses('/long', 'relay-answer-invalid');
  await refuses('/cut', 'relay-unreachable');
});

test('a redirect is not followed: the token stays', async () => {
  let reached = false;
  const elsewhere = await serve((_, response) => {
    reached = true;
    response.end('{"ok":true}');
  });
  const port = await serve((_, response) => {
    response.writeHead(307, { location: `http://127.0.0.1:${elsewhere}/` }).end();
  });
  await assert.rejects((await clientOf(port)).get('/v1/a', Ok), { code: 'relay-answer-invalid' });
  assert.equal(reached, false);
});

test('nobody there: unreachable, with what to do', async () => {
  const server = http.createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects((await clientOf(port)).get('/v1/a', Ok), (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'relay-unreachable');
    assert.match(error.hint ?? '', /hoop relay start/);
    return true;
  });
});

test('a certificate counts when its authority is named, for its own name only', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-client-'));
  closing.push(() => rmSync(directory, { recursive: true, force: true }));
  const authority = await makeAuthority(directory);
  const good = await authority.issue('good', ['localhost']);
  const pem = { cert: readFileSync(good.certFile), key: readFileSync(good.keyFile) };
  const port = await serve((_, response) => response.end('{"ok":true}'), https.createServer(pem));
  const get = async (host: string, caFile: string | null) => {
    const relay = `https://${host}:${port}`;
    const client = await HttpClient.open(relay, caFile);
    closing.push(() => client.close());
    const source = { caller: async () => ({ key, accessToken: 't' }) };
    return new RelayClient(relay, client, source).get('/v1/a', Ok);
  };
  assert.deepEqual(await get('localhost', authority.caFile), { ok: true });
  await assert.rejects(get('localhost', null), { code: 'relay-untrusted' });
  await assert.rejects(get('127.0.0.1', authority.caFile), { code: 'relay-untrusted' });
  await assert.rejects(HttpClient.open('https://localhost', path.join(directory, 'none.pem')), {
    code: 'ca-file-unreadable',
  });
  await assert.rejects(HttpClient.open('https://localhost', good.keyFile), { code: 'ca-file-unreadable' });
});

const document = (relay: string) => ({
  version: 1,
  relay,
  issuer: 'https://id.example.com',
  clientId: 'c',
  scopes: ['openid'],
  log: { origin: 'o', vkey: 'v', url: 'https://relay.example.com/log' },
});

test('a discovery document of another address is refused: proofs made for it could be passed on', async () => {
  let relay = 'https://relay.example.com';
  const port = await serve((_, response) => response.end(JSON.stringify(document(relay))));
  const own = `http://127.0.0.1:${port}`;
  const client = await HttpClient.open(own, null);
  closing.push(() => client.close());
  await assert.rejects(discover(own, client), { code: 'relay-mismatch' });
  relay = own;
  assert.equal((await discover(own, client)).clientId, 'c');
});
