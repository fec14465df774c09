/**
 * What a decision on a held command binds, as one digest: SHA-256 over canonical JSON (RFC 8785). The relay computes it when
 * it asks, the reviewer signs it, `verify` computes it again from the log and the recording. Any other person, target, text,
 * parameters, command or deadline gives another digest.
 */
import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** Digests are SHA-256 in lower-case hexadecimal, over the bytes as they are recorded (masked). */
export interface ReviewBinding {
  readonly review: string;
  /** Of the requester. */
  readonly issuer: string;
  readonly subject: string;
  readonly target: string;
  readonly session: string;
  readonly connection: number;
  readonly command: number;
  readonly text: string;
  /** Null: the command has no parameters. */
  readonly parameters: string | null;
  /** RFC 3339, UTC, milliseconds. */
  readonly expires: string;
}

export function boundDigest(binding: ReviewBinding): string {
  const { review, issuer, subject, target, session, connection, command, text, parameters, expires } =
    binding;
  const bound = { review, issuer, subject, target, session, connection, command, text, parameters, expires };
  return hash('sha256', canonicalize({ v: 1, ...bound }) ?? '', 'hex');
}
