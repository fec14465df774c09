/** The syslog destination where there is no receiver, or one that only takes connections. `test/e2e/streams.test.ts` has rsyslog. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { SyslogDestination } from '../../../src/relay/streams/syslog.ts';

test('nobody listens, or nobody speaks TLS: what is said is that it cannot be reached', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const destination = new SyslogDestination(new URL(`syslog+tls://127.0.0.1:${port}`), {
    token: null,
    ca: null,
    client: null,
  });
  const unreachable = { code: 'stream-unreachable', message: `127.0.0.1:${port} cannot be reached` };
  const { signal } = new AbortController();
  await assert.rejects(destination.send(['one'], signal), unreachable);
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(destination.send(['one'], signal), unreachable);
  destination.close();
});
