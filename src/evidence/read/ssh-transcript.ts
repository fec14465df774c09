/**
 * What programs at a server read and wrote, as text, and how they ended. Characters that a record's end cuts are put
 * together again; what is no UTF-8 is a replacement character, but in forwarded connections, which are any protocol's.
 */
import { StringDecoder } from 'node:string_decoder';
import type { StreamKind } from '../recording/records.ts';
import {
  placeOf,
  shown,
  type RecordOf,
  type TranscriptContent,
  type TranscriptItem,
} from './transcript-item.ts';

interface ChannelState {
  readonly forwarded: boolean;
  readonly decoders: Map<StreamKind, StringDecoder>;
}

export class SshTranscript implements TranscriptContent {
  readonly #channels = new Map<number, ChannelState>();

  opened({ connection, parameters }: RecordOf<'connection'>): void {
    const forwarded = parameters.get('channel') === 'forward';
    this.#channels.set(connection, { forwarded, decoders: new Map() });
  }

  command(): void {}

  *bytes(record: RecordOf<StreamKind>): Generator<TranscriptItem> {
    const { kind: stream, bytes, connection } = record;
    const data = this.#text(connection, stream, bytes);
    if (data !== '') yield { ...placeOf(record), kind: 'text', stream, data };
  }

  /** The exit status, the size of a file; of what failed for a reason of its own, that too. */
  *ended(record: RecordOf<'outcome'>): Generator<TranscriptItem> {
    const { tag, errorCode } = record;
    const told = [tag, errorCode === tag ? null : errorCode].filter((text) => text !== null);
    if (told.length > 0) yield { ...placeOf(record), kind: 'complete', tag: told.join(' ') };
  }

  *closed(record: RecordOf<'connection-closed'>): Generator<TranscriptItem> {
    const state = this.#channels.get(record.connection);
    this.#channels.delete(record.connection);
    for (const [stream, decoder] of state?.decoders ?? []) {
      const data = decoder.end();
      if (data !== '') yield { ...placeOf(record, 0), kind: 'text', stream, data };
    }
  }

  #text(connection: number, stream: StreamKind, bytes: Buffer): string {
    const state = this.#channels.get(connection);
    if (state === undefined || state.forwarded) return shown(bytes);
    let decoder = state.decoders.get(stream);
    if (decoder === undefined) {
      decoder = new StringDecoder('utf8');
      state.decoders.set(stream, decoder);
    }
    return decoder.write(bytes);
  }
}
