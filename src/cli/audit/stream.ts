/** `hoop audit stream`: the history, pushed to a receiver as it happens, with a cursor that survives the program. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { LineFormat } from '../../evidence/export/formats.ts';
import { directories } from '../../agent/directories.ts';
import { secretsOf } from '../../relay/config/streams.ts';
import { Cursor } from '../../relay/streams/cursor.ts';
import {
  destinationForms,
  openDestination,
  parseDestination,
  usualFormat,
  type DestinationAddress,
} from '../../relay/streams/destination.ts';
import { StreamError } from '../../relay/streams/error.ts';
import { pump } from '../../relay/streams/pump.ts';
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
  let failing = false;
  try {
    await pump({
      leaves: source.leaves(query, cursor.next, signal),
      cursor,
      destination,
      format,
      signal,
      retryMs: 1000,
      onFailure: (error) => {
        if (!failing) say(`${error instanceof Error ? error.message : String(error)}; trying again`);
        failing = true;
      },
      onDelivered: (count) => {
        events += count;
        if (failing) say(`${to.text} takes events again`);
        failing = false;
      },
    });
  } finally {
    destination.close();
  }
  return events;
}

/** Of one destination and one question: another question is another stream. */
function cursorFile(log: string, { to, query, format }: StreamWish): string {
  const of = JSON.stringify([log, to.text, format ?? null, Object.entries(query).toSorted()]);
  const name = createHash('sha256').update(of).digest('hex').slice(0, 32);
  return path.join(directories().config, 'streams', `${name}.json`);
}
