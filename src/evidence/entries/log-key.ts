/** Entries about the keys that the log is signed with. */
import { z } from 'zod';

const vkey = z.string().regex(/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/, 'a C2SP verifier key');

/**
 * The hand-over of the log from one key to the next. The old key signs the checkpoint of the tree that ends with this
 * entry, and never one after it; `log/handover.ts` has the proof that outsiders get.
 */
export const logKeyRotated = {
  kind: z.literal('log.key-rotated'),
  /** Verifier key of the key that signs up to here. */
  from: vkey,
  /** Verifier key of the one that signs from here on. */
  to: vkey,
  /** Ed25519 by the new key over the statement of `handoverStatement`, base64: whoever hands over has it. */
  possession: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
};
