/** The dialler: only what is authorised, verified TLS, and failures that do not say where the target is. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { isTargetName } from '../../src/model/ids.ts';
import type { TargetName } from '../../src/model/ids.ts';
import { dialTarget } from '../../src/relay/dial.ts';
import type { DialledTarget } from '../../src/relay/dial.ts';
import { listen } from '../wire/yamux/pair.ts';
import { selfSigned } from '../wire/yamux/websocket-ends.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-dial-'));
after(() => rmSync(directory, { recursive: true }));
const certificate = selfSigned();
const caFile = path.join(directory, 'ca.pem');
writeFileSync(caFile, certificate.cert);

function named(text: string): TargetName {
  if (!isTargetName(text)) throw new Error('not a name');
  return text;
}
const db = named('db');
const allowed = { denied: false, target: db } as const;

function target(port: number, tlsOptions: DialledTarget['tls'], host = '127.0.0.1'): DialledTarget {
  return { name: db, host, port, tls: tlsOptions };
}
const verified = (serverName: string | null = null, certFile?: string): DialledTarget['tls'] => ({
  mode: 'verify-full',
  caFile,
  serverName,
  clientCertificate: certFile === undefined ? null : { certFile, keyFile: path.join(directory, 'key.pem') },
});

/** A server that, like PostgreSQL, answers one byte and then speaks TLS. */
async function server(
  t: { after: (end: () => void) => void },
  options: tls.TLSSocketOptions = {},
): Promise<number> {
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('S');
      const secure = new tls.TLSSocket(socket, { isServer: true, ...certificate, ...options });
      secure.on('error', () => {});
      secure.on('data', (chunk: Buffer) => secure.write(chunk));
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return (listener.address() as net.AddressInfo).port;
}

async function secured(options: DialledTarget): Promise<string> {
  const transport = await dialTarget(allowed, options);
  const notes = listen(transport.channel);
  try {
    const answered = new Promise<void>((resolve) => (notes.onData = () => resolve()));
    transport.channel.write(Buffer.from('?'));
    await answered;
    const { peerCertificate } = await transport.startTls();
    assert.ok(peerCertificate.length > 100);
    const echoed = new Promise<void>((resolve) => (notes.onData = () => resolve()));
    transport.channel.write(Buffer.from('echo'));
    await echoed;
    return notes.bytes.toString();
  } finally {
    transport.channel.destroy();
    await notes.over;
  }
}

test('TLS to the target, verified by address and by configured name', async (t) => {
  const port = await server(t);
  assert.equal(await secured(target(port, verified())), 'Secho');
  assert.equal(await secured(target(port, verified('localhost'))), 'Secho');
});

test('a certificate for another name is refused', async (t) => {
  const port = await server(t);
  await assert.rejects(secured(target(port, verified('db.example'))), {
    code: 'dial-tls-failed',
    message: 'TLS with the target failed (ERR_TLS_CERT_ALTNAME_INVALID)',
  });
});

test('a certificate by an authority that was not named is refused', async (t) => {
  const other = selfSigned();
  const port = await server(t, other);
  await assert.rejects(secured(target(port, verified())), { code: 'dial-tls-failed' });
});

test('the client certificate reaches the target', async (t) => {
  const own = path.join(directory, 'own.pem');
  writeFileSync(own, certificate.cert);
  writeFileSync(path.join(directory, 'key.pem'), certificate.key);
  const port = await server(t, { requestCert: true, rejectUnauthorized: true, ca: certificate.cert });
  assert.equal(await secured(target(port, verified(null, own))), 'Secho');
});

test('TLS that was switched off is not begun', async (t) => {
  const port = await server(t);
  const transport = await dialTarget(allowed, target(port, { mode: 'disable' }));
  await assert.rejects(transport.startTls(), { code: 'dial-tls-failed' });
  transport.channel.destroy();
});

test('an authorization for another target, or a denial, dials nothing', async (t) => {
  const listener = net.createServer(() => assert.fail('was dialled'));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => void listener.close());
  const { port } = listener.address() as net.AddressInfo;
  const options = target(port, { mode: 'disable' });
  await assert.rejects(dialTarget({ denied: false, target: named('other') }, options), {
    code: 'dial-unauthorized',
  });
});

test('a target that is not there is told without its address', async () => {
  const listener = net.createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as net.AddressInfo;
  await new Promise((resolve) => listener.close(resolve));
  await assert.rejects(dialTarget(allowed, target(port, { mode: 'disable' })), {
    code: 'dial-failed',
    message: 'the target cannot be reached (ECONNREFUSED)',
  });
});

test('a target on a Unix socket', async (t) => {
  const listener = net.createServer((socket) => socket.end('hello'));
  listener.listen(path.join(directory, '.s.PGSQL.5432'));
  await once(listener, 'listening');
  t.after(() => void listener.close());
  const transport = await dialTarget(allowed, target(5432, { mode: 'disable' }, directory));
  const notes = listen(transport.channel);
  transport.channel.end();
  await notes.over;
  assert.equal(notes.bytes.toString(), 'hello');
});
