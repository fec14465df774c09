/**
 * Connections to targets. Nothing is dialled without an `Authorization`, and nothing but the target that it names.
 * Texts of failures may reach the client: they name neither address nor credential, only what went wrong.
 */
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { HoopError } from '../errors.ts';
import type { Authorization } from '../gate/authorization.ts';
import type { TargetTransport } from '../protocols/postgres/target.ts';
import { LentReads } from '../system/lent-reads.ts';
import { SocketChannel } from '../system/socket-channel.ts';
import type { PostgresTargetConfig, TargetTlsConfig } from './config/targets.ts';

export type DialErrorCode =
  | 'dial-unauthorized' // the authorization is for another target; a bug
  | 'dial-failed' // no connection: refused, unreachable, unknown name
  | 'dial-timeout'
  | 'dial-tls-failed'; // handshake, certificate or name

export class DialError extends HoopError<DialErrorCode> {}

const connectMs = 10_000;
const handshakeMs = 10_000;
const keepAliveMs = 30_000;
/** Certificate files are read again after this long, so that a renewal needs no restart. */
const contextMs = 60_000;

/** What of a target's configuration concerns its dialling. */
export type DialledTarget = Pick<PostgresTargetConfig, 'name' | 'host' | 'port' | 'tls'>;

/**
 * @param readMemory for what is read from the target; connections of one session may share it
 * @throws DialError `dial-unauthorized`, `dial-failed`, `dial-timeout`
 */
export async function dialTarget(
  authorization: Pick<Authorization, 'target' | 'denied'>,
  target: DialledTarget,
  readMemory?: Buffer,
): Promise<TargetTransport> {
  if (authorization.denied !== false || authorization.target !== target.name)
    throw new DialError('dial-unauthorized', 'this authorization is for another target');
  const reads = new LentReads(readMemory);
  const channel = new SocketChannel(await connect(target, reads), reads);
  return { channel, startTls: () => startTls(channel, target) };
}

function connect(target: DialledTarget, { onread }: LentReads): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const where = path.isAbsolute(target.host)
    ? { path: path.join(target.host, `.s.PGSQL.${target.port}`) }
    : { host: target.host, port: target.port, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  const socket = net.connect({ ...where, allowHalfOpen: true, noDelay: true, onread });
  socket.pause(); // nobody receives yet
  const timer = setTimeout(() => {
    socket.destroy();
    reject(new DialError('dial-timeout', 'the target did not answer in time'));
  }, connectMs);
  const failed = (cause: Error): void => {
    clearTimeout(timer);
    reject(new DialError('dial-failed', `the target cannot be reached${reason(cause)}`, { cause }));
  };
  socket.once('error', failed);
  socket.once('connect', () => {
    clearTimeout(timer);
    socket.off('error', failed);
    resolve(socket);
  });
  return promise;
}

/** The system's code alone: the message beside it holds the address. */
function reason(cause: Error): string {
  return 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : '';
}

async function startTls(channel: SocketChannel, target: DialledTarget): Promise<{ peerCertificate: Buffer }> {
  const { tls: options } = target;
  if (options.mode === 'disable')
    throw new DialError('dial-tls-failed', 'TLS is not configured for this target');
  const name = options.serverName ?? target.host;
  const timer = setTimeout(() => channel.destroy(), handshakeMs);
  try {
    const secureContext = await contextOf(options);
    const secure = await channel.startTls({
      secureContext,
      // The name to verify; as SNI it is sent only where it is a name.
      host: name,
      servername: net.isIP(name) === 0 && !path.isAbsolute(name) ? name : '',
      rejectUnauthorized: true,
    });
    return { peerCertificate: secure.getPeerCertificate().raw };
  } catch (cause) {
    channel.destroy();
    const why = cause instanceof Error ? reason(cause) : '';
    throw new DialError('dial-tls-failed', `TLS with the target failed${why}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

type VerifiedTls = Extract<TargetTlsConfig, { mode: 'verify-full' }>;
const contexts = new WeakMap<
  VerifiedTls,
  { readonly context: Promise<tls.SecureContext>; readonly readAt: number }
>();

/** Making a context costs milliseconds: one per target and minute. */
function contextOf(options: VerifiedTls): Promise<tls.SecureContext> {
  const known = contexts.get(options);
  if (known !== undefined && performance.now() - known.readAt < contextMs) return known.context;
  const context = readContext(options);
  contexts.set(options, { context, readAt: performance.now() });
  // A file that cannot be read now may be there at the next attempt.
  context.catch(() => contexts.delete(options));
  return context;
}

async function readContext({ caFile, clientCertificate }: VerifiedTls): Promise<tls.SecureContext> {
  const ca = caFile === null ? systemAuthorities() : await readFile(caFile);
  const own = clientCertificate && {
    cert: await readFile(clientCertificate.certFile),
    key: await readFile(clientCertificate.keyFile),
  };
  return tls.createSecureContext({ ca, minVersion: 'TLSv1.2', ...own });
}

/** The system's own; where it keeps none, those that Node.js brings. */
function systemAuthorities(): string[] {
  const system = tls.getCACertificates('system');
  return system.length > 0 ? system : tls.getCACertificates('default');
}
