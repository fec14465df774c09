/** What a transcript is made of, and what a protocol adds to it. */
import type { RedactionPart } from '../recording/redactions.ts';
import type { SegmentRecord, StreamKind } from '../recording/records.ts';
import type { Command, CommandOrigin, CommandOutcome } from './commands.ts';
import type { NamedRedaction } from './originals.ts';

/** What happened; `micros` since `session.opened`. */
export type TranscriptItem = {
  readonly micros: number;
  readonly connection: number;
  /** 0: of no command. */
  readonly command: number;
} & (
  | { readonly kind: 'connected'; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** `origin`: it was typed into another one, and how it became known; null: it was sent, word for word. */
  | {
      readonly kind: 'command';
      readonly text: string;
      readonly parameters: Command['parameters'];
      readonly origin: CommandOrigin | null;
    }
  /** What follows was masked, here. `part` `statement`: `command` is the statement's id. */
  | { readonly kind: 'masked'; readonly part: RedactionPart; readonly places: readonly NamedRedaction[] }
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  | { readonly kind: 'row'; readonly values: readonly (string | null)[] }
  | { readonly kind: 'complete'; readonly tag: string }
  | {
      readonly kind: 'error' | 'notice';
      readonly severity: string;
      readonly code: string;
      readonly message: string;
      readonly detail: string | null;
      readonly hint: string | null;
    }
  | { readonly kind: 'notification'; readonly channel: string; readonly payload: string }
  /** A piece of what a program reads or writes, as text; of a forwarded connection as text where it is UTF-8. */
  | { readonly kind: 'text'; readonly stream: StreamKind; readonly data: string }
  /** The client's terminal has this size now. */
  | { readonly kind: 'window'; readonly columns: number; readonly rows: number }
  /** A piece of COPY data, as text where it is UTF-8. */
  | { readonly kind: 'copy-in' | 'copy-out'; readonly data: string }
  | { readonly kind: 'outcome'; readonly outcome: CommandOutcome['kind']; readonly errorCode: string | null }
  /** From here on this connection's bytes are not messages. */
  | { readonly kind: 'unreadable' }
);

export type RecordOf<Kind extends SegmentRecord['kind']> = Extract<SegmentRecord, { kind: Kind }>;

/** What a protocol makes of its bytes. Takes the records of all connections, in order. */
export interface TranscriptContent {
  opened(record: RecordOf<'connection'>): void;
  command(command: Command): void;
  bytes(record: RecordOf<StreamKind>): Iterable<TranscriptItem>;
  /** What stands before the outcome. */
  ended(record: RecordOf<'outcome'>): Iterable<TranscriptItem>;
  /** What stands before the end of the connection. */
  closed(record: RecordOf<'connection-closed'>): Iterable<TranscriptItem>;
}

/** @param known the command, where the record names none */
export const placeOf = (
  { t, connection, command }: { t: number; connection: number; command?: number },
  known?: number,
): { micros: number; connection: number; command: number } => ({
  micros: t,
  connection,
  command: known ?? command ?? 0,
});

/** As text where it is UTF-8, else in hexadecimal. */
export function shown(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? `\\x${bytes.toString('hex')}` : text;
}
