/**
 * The keys that the log was signed with, one after the other. The caller trusts one of them; the others follow from it
 * through the log's own hand-overs (log/handover.ts), and the entries must tell the same chain.
 */
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import { openCheckpointByAny } from '../log/checkpoint.ts';
import {
  checkRotation,
  followHandovers,
  handoverPath,
  maxHandoverBytes,
  openHandover,
  type RotationEntry,
} from '../log/handover.ts';
import type { NoteVerifier } from '../log/note.ts';
import type { Hash } from '../log/tlog.ts';
import { readIfThere } from '../regular-file.ts';
import type { Findings } from './finding.ts';

/** A key, and the first tree that it signed beside its predecessor. */
export interface LogKey {
  readonly verifier: NoteVerifier;
  /** Place of the entry that handed the log over to it; null for the first. */
  readonly since: number | null;
}

export class LogKeys {
  readonly #log: Location;
  readonly #findings: Findings;
  /** From the trusted one on, by the files of hand-overs. */
  readonly #followed: { readonly verifier: NoteVerifier }[];
  /** As the entries tell it. */
  readonly #told: LogKey[] = [];
  readonly #roots = new Map<number, Hash>();
  #signedBy: NoteVerifier | null = null;

  private constructor(log: Location, trusted: NoteVerifier, findings: Findings) {
    this.#log = log;
    this.#findings = findings;
    this.#followed = [{ verifier: trusted }];
  }

  /** @param log the log's directory */
  static async open(log: Location, trusted: NoteVerifier, findings: Findings): Promise<LogKeys> {
    const keys = new LogKeys(log, trusted, findings);
    try {
      for await (const { to } of followHandovers(trusted, (name) => keys.#read(name)))
        keys.#followed.push({ verifier: to });
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      const last = keys.#followed.at(-1)!.verifier;
      keys.#invalid(error, { file: `log/${handoverPath(last.toString())}` });
    }
    return keys;
  }

  /** Oldest first, the one in force last. */
  get chain(): readonly LogKey[] {
    return this.#told.length > 0 ? this.#told : [{ verifier: this.#followed[0]!.verifier, since: null }];
  }

  /** The key in force at the checkpoint, and those that it handed over to since. Earlier ones sign nothing any more. */
  get inForce(): readonly NoteVerifier[] {
    const last = this.chain.at(-1)!.verifier;
    const at = this.#followed.findIndex(({ verifier }) => verifier.toString() === last.toString());
    return at < 0 ? [last] : this.#followed.slice(at).map(({ verifier }) => verifier);
  }

  /**
   * Is the log's checkpoint signed by the trusted key, or one that it was handed over to?
   * @throws EvidenceError `note-malformed`, `note-unverified`
   */
  checkSigned(checkpoint: Uint8Array): void {
    this.#signedBy = openCheckpointByAny(checkpoint, this.#followed).key.verifier;
  }

  /** Any key of the log, earlier ones too. @throws EvidenceError `note-malformed`, `note-unverified` */
  checkSeen(checkpoint: Uint8Array): void {
    openCheckpointByAny(checkpoint, [...this.#followed, ...this.#told]);
  }

  /** An entry that hands the log over. */
  async rotated(entry: RotationEntry, leaf: Buffer, index: number): Promise<void> {
    try {
      const { from, to } = checkRotation(entry);
      const inForce = this.#told.at(-1)?.verifier;
      if (inForce !== undefined && inForce.toString() !== entry.from)
        this.#failure(`entry ${index} hands over a key that was not in force`, index);
      if (this.#told.some(({ verifier }) => verifier.toString() === entry.to))
        this.#failure(`entry ${index} hands the log over to a key that had it before`, index);
      if (this.#told.length === 0) this.#told.push({ verifier: from, since: null });
      this.#told.push({ verifier: to, since: index });
      await this.#covered(from, leaf, index);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      this.#invalid(error, { index });
    }
  }

  /** The old key must have signed the tree that ends with the entry, and its signature must be there. */
  async #covered(from: NoteVerifier, leaf: Buffer, index: number): Promise<void> {
    const file = handoverPath(from.toString());
    const bytes = await this.#read(file);
    if (bytes === null) {
      const message = `no checkpoint of the old key covers the hand-over in entry ${index}`;
      this.#findings.failure('handover-uncovered', message, { index, file: `log/${file}` });
      return;
    }
    const handover = openHandover(bytes, from);
    if (handover.index !== index || !handover.leaf.equals(leaf))
      this.#failure(`the old key signed another hand-over than entry ${index}`, index);
    else this.#roots.set(index + 1, handover.checkpoint.root);
  }

  reached(size: number, root: () => Hash): void {
    const signed = this.#roots.get(size);
    if (signed === undefined || root().equals(signed)) return;
    const message = `the old key handed over another history of ${size} entries`;
    this.#findings.failure('log-forked', message, { index: size - 1 });
  }

  /** All entries are read. @param size of the checkpoint */
  finish(size: number): void {
    const [last, before] = [this.#told.at(-1), this.#told.at(-2)];
    const signedBy = this.#signedBy?.toString();
    if (signedBy === undefined) return;
    // Nobody reached the trusted key: it is of another chain.
    const trusted = this.#followed[0]!.verifier.toString();
    if (last !== undefined && !this.#told.some(({ verifier }) => verifier.toString() === trusted))
      this.#failure('the key that was given is none of those that the log was handed over to', last.since!);
    if (last === undefined || signedBy === last.verifier.toString()) return;
    // Between the old key's last signature and the new one's first a relay may have ended.
    if (signedBy === before?.verifier.toString() && size === last.since! + 1) return;
    const message = `the checkpoint is signed by a key that was handed over in entry ${last.since}`;
    this.#findings.failure('checkpoint-superseded', message, { file: 'log/checkpoint' });
  }

  #read(name: string): Promise<Buffer | null> {
    return readIfThere(within(this.#log, name), maxHandoverBytes);
  }

  #failure(message: string, index: number): void {
    this.#findings.failure('handover-invalid', message, { index });
  }

  #invalid(error: EvidenceError, place: { index?: number; file?: string }): void {
    this.#findings.failure('handover-invalid', error.message, place);
  }
}
