/** The key in force, what it signed last, and how often it failed since. Knows no file. */
import { signCheckpoint } from './checkpoint.ts';
import type { CheckpointSigner } from './note.ts';
import type { TreeHead } from './tlog.ts';

/** A published checkpoint. */
export interface SignedCheckpoint {
  readonly size: number;
  /** Signed by the log. */
  readonly note: string;
}

/** Longest pause between attempts to have a checkpoint signed. */
const longestPauseMs = 15_000;

export class Signing {
  #signer: CheckpointSigner;
  #failures = 0;
  #renew: boolean;
  /** The checkpoint on disk, cosignatures included. */
  note: string;

  /** @param renew the checkpoint on disk is the old key's, though the log was handed over with it */
  constructor(signer: CheckpointSigner, { note, renew }: { readonly note: string; readonly renew: boolean }) {
    this.#signer = signer;
    this.note = note;
    this.#renew = renew;
  }

  static async checkpoint(signer: CheckpointSigner, { size, root }: TreeHead): Promise<string> {
    return signCheckpoint({ origin: signer.verifier.name, size, root }, signer);
  }

  get signer(): CheckpointSigner {
    return this.#signer;
  }

  /** The tree on disk needs the new key's signature, though it has not grown. */
  get renew(): boolean {
    return this.#renew;
  }

  /** Before the next attempt: 0 while the key signs. */
  pauseMs(retryMs: number): number {
    return this.#failures === 0 ? 0 : Math.min(longestPauseMs, retryMs * 2 ** (this.#failures - 1));
  }

  /** Rejects when the key does not sign. */
  async sign(head: TreeHead): Promise<string> {
    try {
      const note = await Signing.checkpoint(this.#signer, head);
      this.#failures = 0;
      return note;
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
  }

  published(note: string): void {
    this.note = note;
    this.#renew = false;
  }

  handedOver(next: CheckpointSigner, note: string): void {
    this.#signer = next;
    this.note = note;
    this.#renew = true;
    this.#failures = 0;
  }
}
