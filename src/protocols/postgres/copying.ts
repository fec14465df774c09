/**
 * The COPY of a connection, as far as it decides what the target reads: during COPY FROM it ignores Sync, and a command
 * breaks the copy. A copy that fails leaves the rest unread, and how much that was is nowhere said: a Sync that was sent into
 * it may have been ignored, or be answered yet.
 */
import { PostgresError } from './error.ts';
import { Slot } from './pipeline.ts';
import type { Pipeline } from './pipeline.ts';

export class Copying {
  direction: 'none' | 'in' | 'out' = 'none';
  /** Syncs that a COPY may have swallowed; each may still be answered. */
  syncs = 0;
  /** The command that copied in last. */
  #command = 0;
  /** A command stands right behind a COPY FROM: the copy fails by it or before it, and then it is carried out. */
  #intruded = false;

  /** During COPY FROM something else than its data is forwarded. @throws PostgresError for a command */
  forwarded(kind: Slot): void {
    if (kind === Slot.sync) this.syncs++;
    else if (kind === Slot.copyEnd) this.direction = 'none';
    else throw intruder();
  }

  /**
   * The first of `pipeline` copies in; what was sent behind it is read by the copy, up to the message that ends it.
   * @returns how many Syncs those were, each of which ended a segment
   */
  begin(pipeline: Pipeline): number {
    this.direction = 'in';
    this.#command = pipeline.value();
    this.#intruded = false;
    let read = 0;
    while (read + 1 < pipeline.length && this.direction === 'in') {
      const kind = pipeline.kind(read + 1);
      if (kind === Slot.copyEnd) this.direction = 'none';
      else if (kind !== Slot.sync) {
        this.#intruded = true;
        break;
      }
      read++;
    }
    const syncs = this.direction === 'in' ? read : Math.max(0, read - 1);
    // Whether the Sync before it was read by the copy decides whether this command is carried out.
    if (this.#intruded && syncs > 0) throw intruder(unknownEffect);
    pipeline.dropBehindHead(read);
    this.syncs += syncs;
    return syncs;
  }

  /** A command has completed, and so every Sync before it was read. */
  completed(): void {
    this.direction = 'none';
    this.syncs = 0;
  }

  /** The first of `pipeline` has failed. @throws PostgresError when it cannot be told what the target does next */
  failed(pipeline: Pipeline, sqlstate: string): void {
    const kind = pipeline.kind();
    // Servers before 14 tell only by this code that they have read a command as a part of the copy.
    if (this.direction === 'in' && this.#intruded && kind === Slot.query && sqlstate === '08P01')
      throw intruder(unknownEffect);
    this.direction = 'none';
    if (this.syncs === 0 || kind === Slot.none || kind === Slot.sync) return;
    const copied = (kind === Slot.query || kind === Slot.execute) && pipeline.value() === this.#command;
    if (!copied) this.syncs = 0;
    else if (kind === Slot.execute) {
      let next = 1;
      while (pipeline.kind(next) === Slot.copyEnd) next++;
      // An unread Sync ends the skipping, and then what stands behind is carried out.
      if (pipeline.kind(next) !== Slot.none && pipeline.kind(next) !== Slot.sync)
        throw intruder(unknownEffect);
    }
  }
}

/** Not 08P01: the command was forwarded, and whether it took effect is not known. */
const unknownEffect = '08006';

export const intruder = (sqlstate?: string): PostgresError =>
  new PostgresError(
    'postgres-unexpected-message',
    'a command was sent into a COPY',
    sqlstate === undefined ? {} : { sqlstate },
  );
