/**
 * The target as this protocol meets it: how it is dialled, and with whose credential.
 */
import type { ByteChannel } from '../../bytes/channel.ts';
import type { DatabaseChoice } from './client-startup.ts';
import type { ScramKeys } from './scram.ts';

/** A connection to the target that was just made; whoever dialled keeps deadlines and destroys it when they pass. */
export interface TargetTransport {
  readonly channel: ByteChannel;
  /**
   * Upgrades to TLS and verifies the server's certificate and name; afterwards the same channel, with the same
   * receiver, carries the plain bytes. Called at most once, with nothing unread in the channel.
   * Rejects when the handshake or the verification fails; the message may be shown to the client.
   */
  startTls(): Promise<{ readonly peerCertificate: Buffer }>;
}

export interface TargetOptions extends DatabaseChoice {
  /** The relay's own role at the target; never shown to a client. */
  readonly user: string;
  /** Called when the target asks for a password, not before; null when there is none (client certificate). */
  readonly password: () => Promise<string | null> | string | null;
  readonly tls: 'verify-full' | 'disable';
  /** `require` needs SCRAM-SHA-256-PLUS and therefore TLS; `prefer` uses it where it is offered. */
  readonly channelBinding: 'prefer' | 'require' | 'disable';
  /** Keep one per target, so that key derivation is paid once. */
  readonly scramKeys: ScramKeys;
}

/** Makes a new connection to the target. Rejects with a reason that may be shown to the client. */
export type Dial = () => Promise<TargetTransport>;
