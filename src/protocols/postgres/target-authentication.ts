/**
 * Proves the relay's credential to the target, and with SCRAM makes the target prove that it knows it too.
 */
import { hash } from 'node:crypto';
import type { ByteChannel } from '../../bytes/channel.ts';
import { PostgresError } from './error.ts';
import {
  decodeAuthentication,
  encodePasswordMessage,
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from './messages/authentication.ts';
import type { Authentication } from './messages/authentication.ts';
import { typeOf } from './messages/frame.ts';
import type { Message } from './messages/frame.ts';
import { endPointHash, ScramExchange } from './scram.ts';
import type { ChannelBinding } from './scram.ts';
import type { TargetOptions } from './target.ts';

type Next = () => Promise<Message>;

/**
 * Answers the target's authentication request; resolves after AuthenticationOk. `next` reads one message and throws
 * for an ErrorResponse. `certificate`: the server's, DER, null without TLS.
 * @throws PostgresError `postgres-authentication-…`, BytesError
 */
export async function authenticate(
  next: Next,
  channel: ByteChannel,
  certificate: Buffer | null,
  options: TargetOptions,
): Promise<void> {
  const request = await nextAuthentication(next);
  if (options.channelBinding === 'require' && request.kind !== 'AuthenticationSASL') {
    throw unsupported('it does not ask for SCRAM-SHA-256-PLUS, which is required for it');
  }
  switch (request.kind) {
    case 'AuthenticationOk':
      return;
    case 'AuthenticationCleartextPassword':
      if (certificate === null) throw unsupported('it asks for the password in the clear, without TLS');
      channel.write(encodePasswordMessage(await passwordOf(options)));
      break;
    case 'AuthenticationMD5Password':
      channel.write(
        encodePasswordMessage(md5Response(await passwordOf(options), options.user, request.salt)),
      );
      break;
    case 'AuthenticationSASL':
      await scram(next, channel, chooseMechanism(request.mechanisms, certificate, options), options);
      break;
    default:
      throw unsupported('it asks for a method other than SCRAM-SHA-256, md5, password or a certificate');
  }
  if ((await nextAuthentication(next)).kind !== 'AuthenticationOk') {
    throw new PostgresError('postgres-unexpected-message', 'the target asked for authentication again');
  }
}

async function nextAuthentication(next: Next): Promise<Authentication> {
  for (;;) {
    const { type, body } = await next();
    if (type === typeOf('R')) return decodeAuthentication(body);
    // A notice may come at any time; before authentication nobody is there to read it.
    if (type !== typeOf('N')) {
      throw new PostgresError(
        'postgres-unexpected-message',
        `the target sent a message of type 0x${type.toString(16)} during authentication`,
      );
    }
  }
}

interface Mechanism {
  readonly name: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS';
  readonly binding: ChannelBinding;
}

function chooseMechanism(
  offered: readonly string[],
  certificate: Buffer | null,
  options: TargetOptions,
): Mechanism {
  const wanted = certificate !== null && options.channelBinding !== 'disable';
  const data = wanted ? endPointHash(certificate) : null;
  if (data !== null && offered.includes('SCRAM-SHA-256-PLUS')) {
    return { name: 'SCRAM-SHA-256-PLUS', binding: { kind: 'tls-server-end-point', data } };
  }
  if (options.channelBinding === 'require') throw unsupported('channel binding is required and not possible');
  if (!offered.includes('SCRAM-SHA-256')) throw unsupported('it offers no SASL mechanism that is known here');
  return { name: 'SCRAM-SHA-256', binding: { kind: data === null ? 'none' : 'not-offered' } };
}

async function scram(
  next: Next,
  channel: ByteChannel,
  mechanism: Mechanism,
  options: TargetOptions,
): Promise<void> {
  const exchange = new ScramExchange(await passwordOf(options), options.scramKeys, mechanism.binding);
  channel.write(encodeSASLInitialResponse(mechanism.name, exchange.clientFirst));
  channel.write(
    encodeSASLResponse(await exchange.clientFinal(await sasl(next, 'AuthenticationSASLContinue'))),
  );
  exchange.verify(await sasl(next, 'AuthenticationSASLFinal'));
}

/** An AuthenticationOk in place of a step would skip the server's own proof. */
async function sasl(
  next: Next,
  kind: 'AuthenticationSASLContinue' | 'AuthenticationSASLFinal',
): Promise<string> {
  const message = await nextAuthentication(next);
  if (message.kind !== kind || !('data' in message)) {
    throw new PostgresError(
      'postgres-authentication-forged',
      'authentication to the target failed: the server left out a step of SCRAM',
    );
  }
  return message.data;
}

async function passwordOf(options: TargetOptions): Promise<string> {
  const password = await options.password();
  if (password === null || password === '')
    throw unsupported('it asks for a password, and none is configured');
  return password;
}

const unsupported = (what: string): PostgresError =>
  new PostgresError('postgres-authentication-unsupported', `cannot sign in to the target: ${what}`, {
    hint: 'Ask the relay’s operator to check the settings of this target.',
  });

function md5Response(password: string, user: string, salt: Buffer): string {
  const inner = hash('md5', password + user);
  return `md5${hash('md5', Buffer.concat([Buffer.from(inner), salt]))}`;
}
