/**
 * Reads the records of a segment (FORMAT.md). Untrusted input: what is not a record ends the reading with an error,
 * what is a record of a later version's kind is skipped. Values are views of the given bytes.
 */
import type { OutcomeKind } from '../../model/outcome.ts';
import { EvidenceError } from '../error.ts';
import { decodeItem, type Cbor } from './decode.ts';
import type { SegmentHeader } from './segment-header.ts';
import { vouches, type FlushMark } from './flush-mark.ts';
import type { RedactionPart } from './redactions.ts';

/** Content over 65,536 bytes: stands in `blob` records before this one. */
export interface LargeContent {
  readonly blob: number;
  readonly bytes: number;
  readonly sha256: Buffer;
}
export type Content = Buffer | LargeContent;

/** `CommandFacts` as recorded; a later version may know effects that this one does not. */
export type RecordedFacts = Readonly<
  Record<'effects' | 'relations' | 'functions' | 'programs' | 'paths' | 'destinations', readonly string[]>
>;

export interface RedactionsRecord {
  readonly kind: 'redactions';
  readonly t: number;
  readonly part: RedactionPart;
  readonly connection: number;
  /** The command; of part `statement`, the statement; 0: of none. */
  readonly subject: number;
  /** Sealed index of the first place's original, the others' follow; null: not kept. */
  readonly first: number | null;
  /** As encoded; read them with `placesOf`. */
  readonly places: readonly number[];
  readonly count: number;
}

/** One masked value. */
export interface Redaction {
  readonly rule: number;
  /** From 0; null outside of rows. */
  readonly row: number | null;
  /** From 0: of a row, or which parameter; null where there is none. */
  readonly column: number | null;
  /** Bytes, in the value, message, text, input or output, before masking. */
  readonly offset: number;
  readonly length: number;
  readonly sealed: number | null;
}

export type StreamKind = 'input' | 'output' | 'error-output';

/** `t`: microseconds since `session.opened`. Numbers of connections and commands are those of the session. */
export type SegmentRecord =
  | ({ kind: 'segment'; t: number } & SegmentHeader)
  | ({ kind: 'flushed'; t: number } & FlushMark)
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
      /** Number of a `facts` record before it in this segment. */
      facts: number | null;
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
      /** As in `statement`; null when the statement says it. */
      facts: number | null;
      /** The review that decided it. */
      review: string | null;
    }
  | ({ kind: 'facts'; t: number; facts: number } & RecordedFacts)
  | { kind: 'rule'; t: number; rule: number; name: string }
  | RedactionsRecord
  | { kind: 'seal-key'; t: number; wrapped: Buffer }
  | { kind: 'originals'; t: number; first: number; count: number; bytes: Buffer }
  | { kind: StreamKind; t: number; connection: number; command: number; bytes: Buffer }
  | { kind: 'resize'; t: number; connection: number; command: number; columns: number; rows: number }
  | {
      kind: 'origin';
      t: number;
      connection: number;
      command: number;
      parent: number;
      how: 'reconstructed' | 'marked';
    }
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
 * @param endOfUnwanted where a record ends that is passed over; -1: it is wanted
 * @throws EvidenceError `recording-damaged` at the first bytes that are none
 */
export function* readRecords(
  segment: Buffer,
  endOfUnwanted: (segment: Buffer, at: number) => number = () => -1,
): Generator<SegmentRecord> {
  let at = 0;
  while (at < segment.length) {
    const end = endOfUnwanted(segment, at);
    if (end !== -1) {
      at = end;
      continue;
    }
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
  readonly redactions: number;
}

/** Measures a segment as it was found; never throws. */
export function measureSegment(segment: Buffer): SegmentExtent {
  let [at, firstMicros, lastMicros, commands, redactions] = [0, 0, 0, 0, 0];
  let header: SegmentExtent['header'] = null;
  /** Originals that redactions name, and those that stand here: a flush that was torn between them was not acknowledged. */
  let [named, held] = [0, 0];
  let whole: SegmentExtent = { length: 0, header, firstMicros, lastMicros, commands, redactions };
  try {
    while (at < segment.length) {
      const item = decodeItem(segment, at);
      if (item === null) break;
      const record = parseRecord(item.value);
      if (header === null) {
        if (record?.kind !== 'segment') break;
        header = record;
        firstMicros = record.t;
      }
      if (record !== null) lastMicros = Math.max(lastMicros, record.t);
      if (record?.kind === 'command') commands++;
      if (record?.kind === 'redactions') {
        redactions += record.count;
        if (record.first !== null) named += record.count;
      } else if (record?.kind === 'originals') held += record.count;
      if (record?.kind === 'flushed' && !vouches(record, segment, whole.length, at)) break;
      at = item.end;
      if (held < named || (header.allocated && record?.kind !== 'flushed')) continue;
      whole = { length: at, header, firstMicros, lastMicros, commands, redactions };
    }
  } catch {
    // The first bytes that are no record: a torn write.
  }
  return whole;
}

/** Null for a kind of a later version. @throws EvidenceError `recording-damaged` */
export function parseRecord(value: Cbor): SegmentRecord | null {
  if (!Array.isArray(value)) throw damaged('an item is not a record');
  const t = uint(value[0]);
  const kind = text(value[1]);
  switch (kind) {
    case 'segment':
      return parseHeader(t, value[2], value[3]);
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
      const about = {
        text: parseContent(value[4]),
        parameterTypes: uints(value[5]),
        facts: uintOrNull(value[6]),
      };
      return { kind, t, connection, statement, ...about };
    }
    case 'command':
      return parseCommand(t, value);
    case 'input':
    case 'output':
    case 'error-output':
      return { kind, t, connection: uint(value[2]), command: uint(value[3]), bytes: bytes(value[4]) };
    case 'resize': {
      const [connection, command] = [uint(value[2]), uint(value[3])];
      return { kind, t, connection, command, columns: uint(value[4]), rows: uint(value[5]) };
    }
    case 'origin': {
      const how = value[5];
      if (how !== 'reconstructed' && how !== 'marked') throw damaged('an origin is of no known kind');
      return { kind, t, connection: uint(value[2]), command: uint(value[3]), parent: uint(value[4]), how };
    }
    case 'outcome':
      return parseOutcome(t, value);
    case 'blob':
      return { kind, t, blob: uint(value[2]), offset: uint(value[3]), bytes: bytes(value[4]) };
    case 'flushed':
      return { kind, t, bytes: uint(value[2]), crc: uint(value[3]) };
    case 'gap':
      return { kind, t, reason: text(value[2]) };
    case 'facts':
      return parseFacts(t, value);
    case 'rule':
      return { kind, t, rule: uint(value[2]), name: text(value[3]) };
    case 'redactions':
      return parseRedactions(t, value);
    case 'seal-key':
      return { kind, t, wrapped: bytes(value[2]) };
    case 'originals':
      return { kind, t, first: uint(value[2]), count: uint(value[3]), bytes: bytes(value[4]) };
    default:
      return null;
  }
}

function parseHeader(t: number, value: Cbor, allocated: Cbor | undefined): SegmentRecord {
  const about = map(value);
  if (about.get('v') !== 1) throw damaged('its version is not 1');
  const [session, index] = [text(about.get('session')), uint(about.get('index'))];
  const protocol = text(about.get('protocol'));
  if (allocated !== undefined && allocated !== true) throw damaged('its header is torn');
  return { kind: 'segment', t, session, index, protocol, allocated: allocated === true };
}

function parseCommand(t: number, value: readonly Cbor[]): SegmentRecord {
  const verdict = value[6];
  if (verdict !== 'allow' && verdict !== 'deny') throw damaged('a verdict is neither allow nor deny');
  return {
    kind: 'command',
    t,
    connection: uint(value[2]),
    command: uint(value[3]),
    text: typeof value[4] === 'number' ? uint(value[4]) : parseContent(value[4]),
    parameters: value[5] === null ? null : parseContent(value[5]),
    verdict,
    facts: uintOrNull(value[7]),
    review: textOrNull(value[8] ?? null),
  };
}

function parseFacts(t: number, value: readonly Cbor[]): SegmentRecord {
  const about = map(value[3]);
  const list = (name: string): readonly string[] => texts(about.get(name) ?? []);
  return {
    kind: 'facts',
    t,
    facts: uint(value[2]),
    effects: list('effects'),
    relations: list('relations'),
    functions: list('functions'),
    programs: list('programs'),
    paths: list('paths'),
    destinations: list('destinations'),
  };
}

/** Integers for each place. */
const widths = {
  row: 5,
  message: 3,
  statement: 3,
  text: 3,
  parameter: 4,
  input: 3,
  startup: 3,
  output: 3,
  'error-output': 3,
} as const;
const isPart = (value: Cbor): value is RedactionPart =>
  typeof value === 'string' && Object.hasOwn(widths, value);

function parseRedactions(t: number, value: readonly Cbor[]): RedactionsRecord {
  const part = value[2]!;
  if (!isPart(part)) throw damaged('a redaction stands in no known part');
  const places = uints(value[6]);
  const count = places.length / widths[part];
  if (!Number.isInteger(count)) throw damaged('a place of a redaction is not whole');
  const [connection, subject] = [uint(value[3]), uint(value[4])];
  return { kind: 'redactions', t, part, connection, subject, first: uintOrNull(value[5]), places, count };
}

/** The places of a record, one by one. */
export function* placesOf({ part, places, first }: RedactionsRecord): Generator<Redaction> {
  let row = 0;
  for (let at = 0, n = 0; at < places.length; at += widths[part], n++) {
    const sealed = first === null ? null : first + n;
    const [offset, length] = [places[at + widths[part] - 2]!, places[at + widths[part] - 1]!];
    if (part === 'row') row += places[at + 1]!;
    const column = part === 'row' ? places[at + 2]! : part === 'parameter' ? places[at + 1]! : null;
    yield { rule: places[at]!, row: part === 'row' ? row : null, column, offset, length, sealed };
  }
}

const outcomes: ReadonlySet<Cbor> = new Set([
  'succeeded',
  'failed',
  'blocked',
  'cancelled',
  'unknown',
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

/** Null, or an element that an earlier program did not write. */
const uintOrNull = (value: Cbor): number | null =>
  value === null || value === undefined ? null : uint(value);

function texts(value: Cbor): readonly string[] {
  if (!Array.isArray(value)) throw damaged('a list is missing');
  return value.map(text);
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

/** @throws EvidenceError `recording-damaged` */
export function parseContent(value: Cbor): Content {
  if (Buffer.isBuffer(value)) return value;
  const large = map(value);
  const sha256 = bytes(large.get('sha256'));
  if (sha256.length !== 32) throw damaged('a digest is not of 32 bytes');
  return { blob: uint(large.get('blob')), bytes: uint(large.get('bytes')), sha256 };
}
