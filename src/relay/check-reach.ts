/** Is a target there, and is it who it should be? Connects and does TLS as a session would, then leaves: no credential. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import type { PostgresTargetConfig } from './config/targets.ts';
import { readSecretFile } from './config/secret-file.ts';

const timeoutMs = 10_000;

/** PostgreSQL's SSLRequest: length 8, code 80877103. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** What was reached, as a sentence. @throws Error of the socket or of TLS, which names no credential */
export async function reachTarget(target: PostgresTargetConfig): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const socket = net.connect(
    target.host.startsWith('/')
      ? { path: path.join(target.host, `.s.PGSQL.${target.port}`) }
      : { host: target.host, port: target.port },
  );
  try {
    await once(socket, 'connect', { signal });
    if (target.tls.mode === 'disable') return 'reached, without TLS';
    socket.write(sslRequest);
    const [answer] = await once(socket, 'data', { signal });
    // Exactly one byte: more would have been sent before encryption and be taken for encrypted.
    if (!Buffer.isBuffer(answer) || answer.length !== 1 || answer[0] !== 0x53)
      throw new Error('reached, but it offers no TLS');
    const secure = tls.connect({ socket, ...tlsOptions(target.host, target.tls) });
    try {
      await once(secure, 'secureConnect', { signal });
      return `reached, ${secure.getProtocol() ?? 'TLS'}, certificate verified`;
    } finally {
      secure.destroy();
    }
  } catch (error) {
    throw signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : error;
  } finally {
    socket.destroy();
  }
}

function tlsOptions(host: string, options: Extract<PostgresTargetConfig['tls'], { mode: 'verify-full' }>) {
  const { caFile, clientCertificate, serverName } = options;
  const name = serverName ?? host;
  return {
    servername: net.isIP(name) === 0 ? name : '',
    checkServerIdentity: (_: string, certificate: tls.PeerCertificate) =>
      tls.checkServerIdentity(name, certificate),
    minVersion: 'TLSv1.2' as const,
    ...(caFile === null ? {} : { ca: readFileSync(caFile) }),
    ...(clientCertificate === null
      ? {}
      : {
          cert: readFileSync(clientCertificate.certFile),
          key: readSecretFile(clientCertificate.keyFile, 65_536),
        }),
  };
}
