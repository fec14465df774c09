/**
 * What a session masked, and the originals as they are stored: sealed. Opening them needs an auditor's identity, which
 * never comes to a relay: `openOriginals` runs where the auditor is.
 */
import { within, type Location } from '../location.ts';
import { hash } from 'node:crypto';
import { Decrypter } from 'age-encryption';
import { saltName } from '../recording/original-records.ts';
import { EvidenceError } from '../error.ts';
import { decodeItem } from '../recording/decode.ts';
import { originalsName } from '../recording/layout.ts';
import { openOriginals as openRecord, segmentKey } from '../recording/originals.ts';
import { placesOf, type Redaction, type RedactionsRecord, type SegmentRecord } from '../recording/records.ts';
import type { RedactionPart } from '../recording/redactions.ts';
import { readIfThere } from '../regular-file.ts';
import { SegmentCursor } from './segment-cursor.ts';

/** A masked value, with its rule by name. */
export type NamedRedaction = Omit<Redaction, 'rule'> & { readonly rule: string };

/** Names of masking rules as a recording tells them. */
export class RuleNames {
  readonly #names = new Map<number, string>();

  take({ rule, name }: Extract<SegmentRecord, { kind: 'rule' }>): void {
    this.#names.set(rule, name);
  }

  *places(record: RedactionsRecord): Generator<NamedRedaction> {
    for (const place of placesOf(record))
      yield { ...place, rule: this.#names.get(place.rule) ?? `rule ${place.rule}` };
  }
}

/** Where and when a value was masked: `subject` is the command's number, or the statement's. */
export type PlacedRedaction = NamedRedaction & {
  readonly part: RedactionPart;
  /** Since `session.opened`. */
  readonly micros: number;
  readonly connection: number;
  readonly subject: number;
};

/** The redactions of one segment and, in one of the two forms of FORMAT.md, their originals. Bytes are base64. */
export interface SealedSegment {
  readonly session: string;
  readonly segment: number;
  readonly redactions: readonly PlacedRedaction[];
  /** `<index>.age`; null where there is none. */
  readonly age: string | null;
  /** Of a segment that is open, or that recovery sealed: its key, and the records that hold originals. */
  readonly sealKey: string | null;
  readonly originals: readonly { readonly first: number; readonly bytes: string }[];
}

/** Which masked values of a session; what is left out is any. */
export interface SealedChoice {
  readonly segment?: number | undefined;
  /** A rule, or one of its detectors: NAME, or NAME/DETECTOR. */
  readonly rule?: string | undefined;
  /** In whose text, parameters or result it stands. */
  readonly command?: number | undefined;
  /** Sealed indexes in their segment. */
  readonly indexes?: readonly number[] | undefined;
}

const isChosen = (
  { rule, command, indexes }: SealedChoice,
  { part, subject, sealed, ...place }: PlacedRedaction,
): boolean =>
  (rule === undefined || `${place.rule}/`.startsWith(`${rule}/`)) &&
  (command === undefined || (part !== 'statement' && subject === command)) &&
  (indexes === undefined || (sealed !== null && indexes.includes(sealed)));

/** Far more than the originals of a segment take. */
const largestAgeBytes = 64 * 1024 * 1024;

/**
 * The segments of a session that masked something of the choice, with the places of that alone.
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`
 */
export async function* readSealed(
  directory: Location,
  choice: SealedChoice = {},
): AsyncGenerator<SealedSegment> {
  const rules = new RuleNames();
  let segment: Mutable<SealedSegment> | null = null;
  const complete = async (): Promise<SealedSegment | null> => {
    if (segment === null || (choice.segment ?? segment.segment) !== segment.segment) return null;
    const redactions = segment.redactions.filter((place) => isChosen(choice, place));
    if (redactions.length === 0) return null;
    const file = await readIfThere(within(directory, originalsName(segment.segment)), largestAgeBytes);
    return { ...segment, redactions, age: file?.toString('base64') ?? null };
  };
  for await (const record of new SegmentCursor(directory).records()) {
    if (record.kind === 'segment') {
      const whole = await complete();
      if (whole !== null) yield whole;
      const { session, index } = record;
      segment = { session, segment: index, redactions: [], age: null, sealKey: null, originals: [] };
    }
    if (segment !== null) take(record, segment, rules);
  }
  const last = await complete();
  if (last !== null) yield last;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] };

function take(record: SegmentRecord, segment: Mutable<SealedSegment>, rules: RuleNames): void {
  if (record.kind === 'rule') rules.take(record);
  else if (record.kind === 'seal-key') segment.sealKey = record.wrapped.toString('base64');
  else if (record.kind === 'originals')
    segment.originals.push({ first: record.first, bytes: record.bytes.toString('base64') });
  else if (record.kind === 'redactions') {
    const { t: micros, part, connection, subject } = record;
    for (const place of rules.places(record))
      segment.redactions.push({ ...place, part, micros, connection, subject });
  }
}

export interface OpenedOriginals {
  /** By sealed index. */
  readonly originals: ReadonlyMap<number, Buffer>;
  /** SHA-256 of what `<index>.age` holds, hexadecimal; null: there is none. */
  readonly digest: string | null;
}

/**
 * Opens a segment's originals.
 * @param identities `AGE-SECRET-KEY-1…`
 * @throws EvidenceError `originals-locked`: none of the identities opens them; `originals-unreadable`: they were changed
 */
export async function openOriginals(
  { session, segment, age, sealKey, originals }: SealedSegment,
  identities: readonly string[],
): Promise<OpenedOriginals> {
  const opened = new Map<number, Buffer>();
  let digest: string | null = null;
  if (age !== null) {
    const content = await openAge(age, identities, segment);
    digest = hash('sha256', content, 'hex');
    readable(segment, () => takeItems(content, opened));
  }
  if (sealKey === null) return { originals: opened, digest };
  const wrapped = await openAge(sealKey, identities, segment);
  readable(segment, () => {
    const key = segmentKey(wrapped, session, segment);
    for (const { first, bytes } of originals)
      takeItems(openRecord(key, first, Buffer.from(bytes, 'base64')), opened);
  });
  return { originals: opened, digest };
}

/**
 * What an age file of a segment holds.
 * @param age base64
 * @throws EvidenceError as `openOriginals`
 */
export async function openAge(age: string, identities: readonly string[], segment: number): Promise<Buffer> {
  const file = Buffer.from(age, 'base64');
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return Buffer.from(await decrypter.decrypt(file));
  } catch (cause) {
    if (!isForOthers(cause)) throw unreadable(segment, cause);
    throw new EvidenceError(
      'originals-locked',
      `the originals of segment ${segment} cannot be opened with this identity`,
      { hint: 'use the identity of one of the recipients that they were sealed to', cause },
    );
  }
}

/** No other word for it comes from the library. */
const isForOthers = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('no identity matched');

const unreadable = (segment: number, cause: unknown): EvidenceError =>
  new EvidenceError('originals-unreadable', `the originals of segment ${segment} were changed`, { cause });

/** @throws EvidenceError `originals-unreadable` for whatever `read` throws */
function readable(segment: number, read: () => void): void {
  try {
    read();
  } catch (cause) {
    throw unreadable(segment, cause);
  }
}

/** `["salt", …]`, which earlier versions did not write, then `[sealed index, original]`, one after another. */
function takeItems(sequence: Buffer, opened: Map<number, Buffer>): void {
  for (let at = 0; at < sequence.length;) {
    const item = decodeItem(sequence, at);
    if (item === null || !Array.isArray(item.value)) throw new Error('not a sequence of originals');
    const [index, original] = item.value;
    at = item.end;
    if (index === saltName) continue;
    if (typeof index !== 'number' || !Buffer.isBuffer(original)) throw new Error('not an original');
    opened.set(index, original);
  }
}
