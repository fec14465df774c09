/**
 * Carries the history to one destination, at least once: the cursor moves only when the destination has a batch. It reads what is
 * published by itself, a batch at a time, so that a destination that is away for days costs nothing but lag, and nothing
 * ever waits for it.
 */
import { lineOf, type LineFormat } from '../../evidence/export/formats.ts';
import type { EvidenceEvent } from '../../evidence/read/event.ts';
import type { LeafEvents } from '../../evidence/read/leaf-events.ts';
import { paused } from '../../system/paused.ts';
import type { Cursor } from './cursor.ts';
import type { Destination } from './destination.ts';
import { StreamError } from './error.ts';

export interface PumpOptions {
  /** Leaves as they are published; a null says that there is nothing more for now. */
  readonly leaves: AsyncIterable<Leaf | null>;
  readonly cursor: Cursor;
  readonly destination: Destination;
  readonly format: LineFormat;
  readonly signal: AbortSignal;
  /** First pause after a failure; doubled each time, up to a minute, or what the receiver asked for where that is longer. */
  readonly retryMs: number;
  readonly onFailure: (error: unknown) => void;
  readonly onDelivered: (events: number) => void;
}

export type Leaf = Pick<LeafEvents, 'index'> & { readonly events: readonly EvidenceEvent[] };

const longestPauseMs = 60_000;
const batchBytes = 1024 * 1024;
const batchEvents = 1000;
/** Leaves that tell nothing move the cursor only now and then. */
const silentLeaves = 10_000;

/** Resolves when the leaves end, or at the signal. @throws what reading and the cursor's file throw */
export async function pump(options: PumpOptions): Promise<void> {
  const { cursor, format, signal } = options;
  let lines: string[] = [];
  let bytes = 0;
  let next = cursor.next;
  const deliver = async (): Promise<void> => {
    if (lines.length > 0 && !(await delivered(options, lines))) return;
    if (next !== cursor.next) await cursor.save(next);
    [lines, bytes] = [[], 0];
  };
  for await (const leaf of options.leaves) {
    if (signal.aborted) return;
    if (leaf === null) {
      await deliver();
      continue;
    }
    for (const event of leaf.events) {
      const line = lineOf(event, format);
      lines.push(line);
      bytes += line.length;
      // A leaf of many commands goes in pieces; should the last one fail they all go again.
      if (bytes >= batchBytes || lines.length >= batchEvents) {
        if (!(await delivered(options, lines))) return;
        [lines, bytes] = [[], 0];
      }
    }
    next = leaf.index + 1;
    if (next - cursor.next >= silentLeaves) await deliver();
  }
  await deliver();
}

/** Tries until the destination has them. False: it was told to stop before. */
async function delivered(
  { destination, signal, retryMs, onFailure, onDelivered }: PumpOptions,
  lines: readonly string[],
): Promise<boolean> {
  for (let streak = 0; !signal.aborted; streak++) {
    let asked = 0;
    try {
      await destination.send(lines, signal);
      onDelivered(lines.length);
      return true;
    } catch (error) {
      if (signal.aborted) break;
      onFailure(error);
      if (error instanceof StreamError) asked = error.retryAfterMs ?? 0;
    }
    const pause = Math.min(longestPauseMs, retryMs * 2 ** Math.min(streak, 16));
    // Spread out: many senders must not come back together.
    await paused(Math.max(asked, pause * (0.5 + Math.random() / 2)), signal);
  }
  return false;
}
