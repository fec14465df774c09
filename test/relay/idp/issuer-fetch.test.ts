/** Reading an issuer's documents over real HTTP: what it may not do to the relay. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fetchIssuerJson } from '../../../src/relay/idp/issuer-fetch.ts';

const paths: string[] = [];
const server = createServer((request, response) => {
  paths.push(request.url ?? '');
  switch (request.url) {
    case '/good':
      return response.end('{"issuer":"x"}');
    case '/moved':
      return response.writeHead(302, { location: '/elsewhere' }).end();
    case '/large':
      return response.end(`"${'x'.repeat(2 << 20)}"`);
    case '/broken':
      return response.end('{');
    default:
      return response.writeHead(404).end('{}');
  }
});
let base: string;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

test('a document is read; a redirect, a flood, an error and what is not JSON are refused', async () => {
  assert.deepEqual(await fetchIssuerJson(`${base}/good`), { issuer: 'x' });
  for (const bad of ['moved', 'large', 'broken', 'missing'])
    await assert.rejects(fetchIssuerJson(`${base}/${bad}`));
  assert.ok(!paths.includes('/elsewhere'));
});
