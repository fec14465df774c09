/**
 * A session as its client saw it: commands and, decoded, what came back. What a protocol's bytes say is told by the
 * protocol that the recording names.
 */
import type { Location } from '../location.ts';
import type { SegmentRecord, StreamKind } from '../recording/records.ts';
import { CommandAssembler } from './commands.ts';
import { RuleNames } from './originals.ts';
import { PostgresTranscript } from './postgres-transcript.ts';
import { SegmentCursor } from './segment-cursor.ts';
import { SessionEnding } from './session-ending.ts';
import { recordingOf, type SessionSummary } from './sessions.ts';
import { SshTranscript } from './ssh-transcript.ts';
import { placeOf, type RecordOf, type TranscriptContent, type TranscriptItem } from './transcript-item.ts';

export type { TranscriptItem } from './transcript-item.ts';

/**
 * Everything of a session, in the order of the record.
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`
 */
export async function* readTranscript(directory: Location): AsyncGenerator<TranscriptItem> {
  const transcript = new Transcript();
  for await (const record of new SegmentCursor(directory).records()) yield* transcript.take(record);
}

/**
 * The same of a session that goes on, until it ends. A null says that all there was has been told, before it waits.
 * @param wait resolves when it is worth looking again; with false, no more
 */
export async function* followTranscript(
  evidence: Location,
  session: Pick<SessionSummary, 'session' | 'openedAt'>,
  wait: () => Promise<boolean>,
): AsyncGenerator<TranscriptItem | null> {
  const transcript = new Transcript();
  const cursor = new SegmentCursor(recordingOf(evidence, session));
  const ending = new SessionEnding(evidence, session.session);
  do {
    // Looked for before the records are: after the end of a session nothing is recorded.
    const over = (await ending.look()) !== null;
    for await (const record of cursor.records()) yield* transcript.take(record);
    if (over) return;
    yield null;
  } while (await wait());
}

/** Of a protocol that is not known here. */
const nothing: TranscriptContent = {
  opened: () => undefined,
  command: () => undefined,
  bytes: () => [],
  ended: () => [],
  closed: () => [],
};

function contentOf(protocol: string): TranscriptContent {
  switch (protocol) {
    case 'postgres':
      return new PostgresTranscript();
    case 'ssh':
      return new SshTranscript();
    default:
      return nothing;
  }
}

class Transcript {
  readonly #assembler = new CommandAssembler();
  readonly #rules = new RuleNames();
  #content: TranscriptContent | null = null;

  *take(record: SegmentRecord): Generator<TranscriptItem> {
    const command = this.#assembler.take(record);
    if (record.kind === 'segment') this.#content ??= contentOf(record.protocol);
    const content = this.#content ?? nothing;
    switch (record.kind) {
      case 'connection': {
        content.opened(record);
        const parameters = Object.fromEntries(record.parameters);
        yield { ...placeOf(record, 0), kind: 'connected', parameters };
        return;
      }
      case 'connection-closed':
        yield* content.closed(record);
        yield { ...placeOf(record, 0), kind: 'disconnected', reason: record.reason };
        return;
      case 'command': {
        content.command(command!);
        const { text, parameters, origin } = command!;
        yield { ...placeOf(record), kind: 'command', text, parameters, origin };
        return;
      }
      case 'outcome': {
        yield* content.ended(record);
        const { outcome, errorCode } = record;
        yield { ...placeOf(record), kind: 'outcome', outcome, errorCode };
        return;
      }
      default:
        yield* this.#stream(record, content);
    }
  }

  *#stream(record: SegmentRecord, content: TranscriptContent): Generator<TranscriptItem> {
    switch (record.kind) {
      case 'rule':
        this.#rules.take(record);
        return;
      case 'redactions': {
        const places = [...this.#rules.places(record)];
        yield { ...placeOf(record, record.subject), kind: 'masked', part: record.part, places };
        return;
      }
      case 'resize': {
        const { columns, rows } = record;
        yield { ...placeOf(record), kind: 'window', columns, rows };
        return;
      }
      case 'input':
      case 'output':
      case 'error-output':
        yield* content.bytes(record satisfies RecordOf<StreamKind>);
        return;
      default:
        return;
    }
  }
}
