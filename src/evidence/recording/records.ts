/**
 * Reads the records of a segment (FORMAT.md). Untrusted input: what is not a record ends the reading with an error,
 * what is a record of a later version's kind is skipped. Values are views of the given bytes.
 */
import type { OutcomeKind } from '../../model/outcome.ts';
import { EvidenceError } from '../error.ts';
import { decodeItem, type Cbor } from './decode.ts';

/** Content over 65,536 bytes: stands in `blob` records before this one. */
export interface LargeContent {
  readonly blob: number;
  readonly bytes: number;
  readonly sha256: Buffer;
}
export type Content = Buffer | LargeContent;

/** `t`: microseconds since `session.opened`. Numbers of connections and commands are those of the session. */
export type SegmentRecord =
  | { kind: 'segment'; t: number; session: string; index: number; protocol: string }
  | {
      kind: 'connection';
      t: number;
      connection: number;
      parameters: ReadonlyMap<string, string>;
      serverVersion: string | null;
    }
  | { kind: 'connection-closed'; t: number; connection: number; reason: string }
  | {
      kind: 'statement';
      t: number;
      connection: number;
      statement: number;
      text: Content;
      parameterTypes: readonly number[];
    }
  | {
      kind: 'command';
      t: number;
      connection: number;
      command: number;
      /** Its text, or the id of a `statement` record before it. */
      text: Content | number;
      parameters: Content | null;
      verdict: 'allow' | 'deny';
    }
  | { kind: 'input' | 'output'; t: number; connection: number; command: number; bytes: Buffer }
  | {
      kind: 'outcome';
      t: number;
      connection: number;
      command: number;
      outcome: OutcomeKind;
      tag: string | null;
      rows: number;
      errorCode: string | null;
    }
  | { kind: 'blob'; t: number; blob: number; offset: number; bytes: Buffer }
  | { kind: 'gap'; t: number; reason: string };

const damaged = (what: string): EvidenceError =>
  new EvidenceError('recording-damaged', `Not a segment: ${what}.`);

/**
 * All records of a whole segment.
 * @throws EvidenceError `recording-damaged` at the first bytes that are none
 */
export function* readRecords(segment: Buffer): Generator<SegmentRecord> {
  let at = 0;
  while (at < segment.length) {
    const item = decodeItem(segment, at);
    if (item === null) throw damaged('it ends inside a record');
    const record = parseRecord(item.value);
    if (record !== null) yield record;
    at = item.end;
  }
}

/** What is whole of a segment that a crash may have cut short. */
export interface SegmentExtent {
  /** Bytes up to the end of the last whole record; what follows was never acknowledged. */
  readonly length: number;
  /** Null when there is not even a header. */
  readonly header: Extract<SegmentRecord, { kind: 'segment' }> | null;
  readonly firstMicros: number;
  readonly lastMicros: number;
  readonly commands: number;
}

/** Measures a segment as it was found; never throws. */
export function measureSegment(segment: Buffer): SegmentExtent {
  let [length, firstMicros, lastMicros, commands] = [0, 0, 0, 0];
  let header: SegmentExtent['header'] = null;
  try {
    while (length < segment.length) {
      const item = decodeItem(segment, length);
      if (item === null) break;
      const record = parseRecord(item.value);
      if (header === null) {
        if (record?.kind !== 'segment') break;
        header = record;
        firstMicros = record.t;
      }
      if (record !== null) lastMicros = Math.max(lastMicros, record.t);
      if (record?.kind === 'command') commands++;
      length = item.end;
    }
  } catch {
    // The first bytes that are no record: a torn write.
  }
  return { length, header, firstMicros, lastMicros, commands };
}

function parseRecord(value: Cbor): SegmentRecord | null {
  if (!Array.isArray(value)) throw damaged('an item is not a record');
  const t = uint(value[0]);
  const kind = text(value[1]);
  switch (kind) {
    case 'segment':
      return parseHeader(t, value[2]);
    case 'connection': {
      const about = map(value[3]);
      const parameters = new Map([...map(about.get('parameters'))].map(([k, v]) => [text(k), text(v)]));
      const serverVersion = textOrNull(about.get('serverVersion'));
      return { kind, t, connection: uint(value[2]), parameters, serverVersion };
    }
    case 'connection-closed':
      return { kind, t, connection: uint(value[2]), reason: text(value[3]) };
    case 'statement': {
      const [connection, statement] = [uint(value[2]), uint(value[3])];
      return { kind, t, connection, statement, text: content(value[4]), parameterTypes: uints(value[5]) };
    }
    case 'command':
      return parseCommand(t, value);
    case 'input':
    case 'output':
      return { kind, t, connection: uint(value[2]), command: uint(value[3]), bytes: bytes(value[4]) };
    case 'outcome':
      return parseOutcome(t, value);
    case 'blob':
      return { kind, t, blob: uint(value[2]), offset: uint(value[3]), bytes: bytes(value[4]) };
    case 'gap':
      return { kind, t, reason: text(value[2]) };
    default:
      return null;
  }
}

function parseHeader(t: number, value: Cbor): SegmentRecord {
  const about = map(value);
  if (about.get('v') !== 1) throw damaged('its version is not 1');
  const [session, index] = [text(about.get('session')), uint(about.get('index'))];
  return { kind: 'segment', t, session, index, protocol: text(about.get('protocol')) };
}

function parseCommand(t: number, value: readonly Cbor[]): SegmentRecord {
  const verdict = value[6];
  if (verdict !== 'allow' && verdict !== 'deny') throw damaged('a verdict is neither allow nor deny');
  return {
    kind: 'command',
    t,
    connection: uint(value[2]),
    command: uint(value[3]),
    text: typeof value[4] === 'number' ? uint(value[4]) : content(value[4]),
    parameters: value[5] === null ? null : content(value[5]),
    verdict,
  };
}

const outcomes: ReadonlySet<Cbor> = new Set([
  'succeeded',
  'failed',
  'blocked',
  'cancelled',
] satisfies OutcomeKind[]);
const isOutcome = (value: Cbor): value is OutcomeKind => outcomes.has(value);

function parseOutcome(t: number, value: readonly Cbor[]): SegmentRecord {
  const outcome = value[4];
  if (!isOutcome(outcome)) throw damaged('an outcome is of no known kind');
  return {
    kind: 'outcome',
    t,
    connection: uint(value[2]),
    command: uint(value[3]),
    outcome,
    tag: textOrNull(value[5]),
    rows: uint(value[6]),
    errorCode: textOrNull(value[7]),
  };
}

function uint(value: Cbor): number {
  if (typeof value !== 'number' || value < 0 || !Number.isSafeInteger(value))
    throw damaged('a number is missing');
  return value;
}

function uints(value: Cbor): readonly number[] {
  if (!Array.isArray(value)) throw damaged('a list is missing');
  return value.map(uint);
}

function text(value: Cbor): string {
  if (typeof value !== 'string') throw damaged('a text is missing');
  return value;
}

const textOrNull = (value: Cbor): string | null => (value === null ? null : text(value));

function bytes(value: Cbor): Buffer {
  if (!Buffer.isBuffer(value)) throw damaged('bytes are missing');
  return value;
}

function map(value: Cbor): ReadonlyMap<Cbor, Cbor> {
  if (!(value instanceof Map)) throw damaged('a map is missing');
  return value;
}

function content(value: Cbor): Content {
  if (Buffer.isBuffer(value)) return value;
  const large = map(value);
  const sha256 = bytes(large.get('sha256'));
  if (sha256.length !== 32) throw damaged('a digest is not of 32 bytes');
  return { blob: uint(large.get('blob')), bytes: uint(large.get('bytes')), sha256 };
}
