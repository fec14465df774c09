/** `hoop audit stream`: the history, pushed to a receiver as it happens, with a cursor that survives the program. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { RelayProblem } from '../../agent/problem.ts';
import { HoopError } from '../../errors.ts';
import type { LineFormat } from '../../evidence/export/formats.ts';
import { directories } from '../../agent/directories.ts';
import { secretsOf } from '../../relay/config/streams.ts';
import { Cursor } from '../../relay/streams/cursor.ts';
import {
  destinationForms,
  parseDestination,
  usualFormat,
  type DestinationAddress,
} from '../../relay/streams/address.ts';
import { openDestination } from '../../relay/streams/destination.ts';
import { StreamError } from '../../relay/streams/error.ts';
import { pump } from '../../relay/streams/pump.ts';
import { paused } from '../../system/paused.ts';
import type { AuditQuery } from '../../wire/audit.ts';
import type { AuditSource } from './source.ts';

export interface StreamWish {
  readonly to: DestinationAddress;
  readonly format: LineFormat | undefined;
  readonly query: AuditQuery;
  /** Null: one that the destination and the log name. */
  readonly cursor: string | null;
  readonly secrets: Parameters<typeof secretsOf>[0];
  readonly signal: AbortSignal;
  /** For people: what goes wrong, and that it goes on. */
  readonly say: (line: string) => void;
}

/** @throws StreamError `stream-destination-invalid` */
export function destinationOf(text: string): DestinationAddress {
  const to = parseDestination(text, process.cwd());
  if (to !== null) return to;
  throw new StreamError('stream-destination-invalid', 'this is no destination', {
    hint: `expected ${destinationForms}`,
  });
}

/** @param log names the log: its relay, or the origin of its checkpoint. @returns how many events were delivered */
export async function streamEvents(source: AuditSource, log: string, wish: StreamWish): Promise<number> {
  const { to, query, signal, say } = wish;
  const format = wish.format ?? usualFormat(to);
  const cursor = await Cursor.open(wish.cursor ?? cursorFile(log, wish), { log, to: to.text }, 0);
  const destination = openDestination(to, format, secretsOf(wish.secrets, process.cwd()));
  let events = 0;
  let failures = 0;
  const failed = (message: string): void => {
    if (failures++ === 0) say(`${message}; trying again`);
  };
  const run = (): Promise<void> =>
    pump({
      leaves: source.leaves(query, cursor.next, signal),
      cursor,
      destination,
      format,
      signal,
      retryMs: firstRetryMs,
      onFailure: (error) => failed(error instanceof Error ? error.message : String(error)),
      onDelivered: (count) => {
        events += count;
        if (failures > 0) say('it goes on');
        failures = 0;
      },
    });
  try {
    while (!signal.aborted) {
      try {
        await run();
        if (!signal.aborted) failed('the relay ended its answer');
      } catch (error) {
        if (!mayComeBack(error)) throw error;
        failed(error.message);
      }
      await paused(Math.min(longestPauseMs, firstRetryMs * 2 ** Math.min(failures, 16)), signal);
    }
  } finally {
    destination.close();
  }
  return events;
}

const firstRetryMs = 1000;
const longestPauseMs = 60_000;

/** A relay that restarts, or cannot be reached for a while. What it refuses it refuses again. */
const mayComeBack = (error: unknown): error is HoopError =>
  (error instanceof RelayProblem && error.status >= 500) ||
  (error instanceof HoopError && ['relay-unreachable', 'audit-line-invalid'].includes(error.code));

/** Of one destination and one question: another question is another stream. */
function cursorFile(log: string, { to, query, format }: StreamWish): string {
  const of = JSON.stringify([log, to.text, format ?? null, Object.entries(query).toSorted()]);
  const name = createHash('sha256').update(of).digest('hex').slice(0, 32);
  return path.join(directories().config, 'streams', `${name}.json`);
}
