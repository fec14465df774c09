/**
 * Start-up towards the target: TLS first where it is configured, then the relay's own credential. Each step returns
 * what the next one needs; the caller bounds the time by destroying the transport, which makes every step reject.
 * What the target says before it has proven itself is never shown to a client word for word.
 */
import { HandshakeReader } from '../../bytes/handshake-reader.ts';
import { HoopError } from '../../errors.ts';
import { PostgresError } from './error.ts';
import { authenticate } from './target-authentication.ts';
import { decodeErrorResponse } from './messages/error.ts';
import { encodeMessage, typeOf } from './messages/frame.ts';
import type { Message } from './messages/frame.ts';
import {
  decodeBackendKeyData,
  decodeParameterStatus,
  encodeCancelRequest,
  encodeSSLRequest,
  encodeStartupMessage,
} from './messages/startup.ts';
import type { Dial, TargetOptions, TargetTransport } from './target.ts';

/** Longest message of a target during start-up. */
const startupLimit = 65_536;
/** All that it announces before its first ReadyForQuery; PostgreSQL sends a few hundred bytes. */
const announcementsLimit = 1024 * 1024;

/** The target's own cancellation key; never shown to a client. */
export interface TargetKey {
  readonly processId: number;
  readonly secret: Buffer;
}

/** A target that is ready for queries. */
export interface ReadyTarget {
  readonly reader: HandshakeReader;
  /** ParameterStatus and NoticeResponse messages, whole, as they came: the client gets them too. */
  readonly announcements: readonly Buffer[];
  readonly serverVersion: string | null;
  readonly key: TargetKey | null;
  /** Status byte of the first ReadyForQuery. */
  readonly status: number;
}

/** A connection with TLS, if it is configured, before anything else was said. */
export interface OpenTarget {
  readonly reader: HandshakeReader;
  /** The server's certificate, DER; null without TLS. */
  readonly certificate: Buffer | null;
}

/**
 * Dials and secures. `opened` is told the transport as soon as there is one, so that it can be destroyed while the
 * rest goes on.
 * @throws PostgresError `postgres-target-unreachable`, `postgres-tls-refused`, `postgres-malformed-message`
 */
export async function openTarget(
  dial: Dial,
  tls: TargetOptions['tls'],
  opened: (transport: TargetTransport) => void,
): Promise<OpenTarget> {
  const transport = await reached(dial());
  opened(transport);
  const reader = new HandshakeReader(transport.channel);
  if (tls === 'disable') return { reader, certificate: null };
  transport.channel.write(encodeSSLRequest());
  const answer = (await reader.read(1))[0];
  if (answer !== typeOf('S')) {
    throw new PostgresError(
      'postgres-tls-refused',
      'the target does not offer TLS, which is required for it',
    );
  }
  // Anything here was sent in the clear, by whoever sits in between.
  if (reader.buffered > 0) {
    throw new PostgresError('postgres-malformed-message', 'the target sent bytes ahead of its TLS handshake');
  }
  const { peerCertificate } = await reached(transport.startTls());
  return { reader, certificate: peerCertificate };
}

/** Only a failure of hoop's own has a text that may be shown. */
async function reached<T>(step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    const known = error instanceof HoopError ? error : null;
    throw new PostgresError('postgres-target-unreachable', known?.message ?? 'the target cannot be reached', {
      cause: error,
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
    });
  }
}

/**
 * Sends the start-up message, authenticates, and reads up to the first ReadyForQuery.
 * @throws PostgresError, BytesError
 */
export async function startTarget(
  open: OpenTarget,
  options: TargetOptions,
  database: string,
  passedOn: readonly (readonly [string, string])[],
): Promise<ReadyTarget> {
  const { reader } = open;
  const parameters = [...passedOn, ['user', options.user], ['database', database]] as const;
  reader.channel.write(encodeStartupMessage(parameters));
  const next = async (): Promise<Message> => {
    const message = await readMessage(reader);
    if (message.type === typeOf('E')) throw refusalOf(message.body, options.user);
    return message;
  };
  await authenticate(next, reader.channel, open.certificate, options);

  const announcements: Buffer[] = [];
  let announced = 0;
  let serverVersion: string | null = null;
  let key: TargetKey | null = null;
  for (;;) {
    const { type, body } = await next();
    announced += body.length + 5;
    if (announced > announcementsLimit) {
      throw new PostgresError('postgres-message-too-large', 'the target announces too much during start-up');
    }
    if (type === typeOf('S')) {
      const { name, value } = decodeParameterStatus(body);
      if (name === 'server_version') serverVersion = value;
      announcements.push(encodeMessage('S', body));
    } else if (type === typeOf('N')) announcements.push(encodeMessage('N', body));
    else if (type === typeOf('K') && key === null) key = decodeBackendKeyData(body);
    else if (type === typeOf('Z') && body.length === 1) {
      return { reader, announcements, serverVersion, key, status: body[0]! };
    } else throw unexpected(type);
  }
}

async function readMessage(reader: HandshakeReader): Promise<Message> {
  const header = await reader.read(5);
  const type = header[0]!;
  const length = header.readUInt32BE(1);
  if (length < 4 || length > startupLimit) {
    throw new PostgresError('postgres-malformed-message', 'the target sent a message of impossible length');
  }
  return { type, body: await reader.read(length - 4) };
}

const unexpected = (type: number): PostgresError =>
  new PostgresError(
    'postgres-unexpected-message',
    `the target sent a message of type 0x${type.toString(16)} during start-up`,
  );

/**
 * An error of the target during start-up. Its text is passed on where it speaks of what the client asked for (no such
 * database, too many connections, an unknown parameter), never where it speaks of the credential.
 */
function refusalOf(body: Buffer, user: string): PostgresError {
  const { sqlstate, message, hint } = decodeErrorResponse(body);
  if (sqlstate.startsWith('28') || !/^[0-9A-Z]{5}$/.test(sqlstate)) {
    return new PostgresError('postgres-authentication-refused', 'the target refused the relay’s credential', {
      hint: 'Ask the relay’s operator to check the credential of this target.',
    });
  }
  const telling = `${message} ${hint ?? ''}`.includes(user);
  return new PostgresError(
    'postgres-target-refused',
    telling ? 'the target refused the connection' : message,
    { sqlstate, ...(hint !== null && !telling ? { hint } : {}) },
  );
}

/**
 * Delivers a cancel request and waits until the target has taken it (it answers by closing). `opened` is told the
 * transport, whose destruction ends the waiting.
 */
export async function cancelTarget(
  dial: Dial,
  tls: TargetOptions['tls'],
  key: TargetKey,
  opened?: (transport: TargetTransport) => void,
): Promise<void> {
  const made: TargetTransport[] = [];
  try {
    const { reader } = await openTarget(dial, tls, (transport) => {
      made.push(transport);
      opened?.(transport);
    });
    reader.channel.write(encodeCancelRequest(key.processId, key.secret));
    await reader.finished();
  } finally {
    for (const { channel } of made) channel.destroy();
  }
}
