/**
 * Originals of masked values, opened where the auditor is: the identity never leaves this machine, and a relay only ever
 * hands out what is sealed.
 */
import { isUtf8 } from 'node:buffer';
import { Decrypter } from 'age-encryption';
import { openOriginals } from '../../evidence/read/originals.ts';
import type { SealedSegmentView, SessionSummaryView } from '../../wire/audit.ts';
import { colour, visible } from '../colour.ts';
import { AuditError, namedFile } from './source.ts';

/** One masked value and, if it was kept, its original. */
export interface Unsealed {
  readonly session: string;
  readonly segment: number;
  /** When it was recorded. */
  readonly time: string;
  /** Who opened the session: e-mail, else subject. */
  readonly person: string;
  readonly sealed: number | null;
  readonly rule: string;
  readonly part: SealedSegmentView['redactions'][number]['part'];
  readonly connection: number;
  /** Null: it stands in a statement, or in no command. */
  readonly command: number | null;
  readonly statement: number | null;
  readonly row: number | null;
  readonly column: number | null;
  readonly offset: number;
  readonly length: number;
  /** As text; hexadecimal after `\x` where it is none. Null: not kept, or lost with the machine. */
  readonly original: string | null;
}

/**
 * The identities in a file as `age-keygen` and `hoop audit keygen` write it.
 * @throws AuditError `evidence-unreadable`, `identity-invalid`
 */
export async function identitiesIn(file: string): Promise<string[]> {
  const lines = (await namedFile(file)).toString('utf8').split(/\r?\n/);
  const identities = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (identities.length > 0 && identities.every(isIdentity)) return identities;
  throw new AuditError('identity-invalid', `${file} holds no age identity`, {
    hint: 'it should have a line AGE-SECRET-KEY-1…, as hoop audit keygen writes it',
  });
}

/** With its checksum; of an X25519 key alone, as recipients are. */
function isIdentity(line: string): boolean {
  try {
    new Decrypter().addIdentity(line);
    return /^AGE-SECRET-KEY-1[A-Z0-9]+$/.test(line);
  } catch {
    return false;
  }
}

/** @param segments of the session */
export async function* unsealed(
  { openedAt, principal }: Pick<SessionSummaryView, 'openedAt' | 'principal'>,
  segments: AsyncIterable<SealedSegmentView>,
  identities: readonly string[],
): AsyncGenerator<Unsealed> {
  for await (const segment of segments) {
    const { originals } = await openOriginals(segment, identities);
    for (const { part, micros, subject, ...place } of segment.redactions) {
      const original = place.sealed === null ? undefined : originals.get(place.sealed);
      yield {
        session: segment.session,
        segment: segment.segment,
        time: new Date(Date.parse(openedAt) + Math.floor(micros / 1000)).toISOString(),
        person: principal.email ?? principal.subject,
        ...place,
        part,
        command: part === 'statement' || subject === 0 ? null : subject,
        statement: part === 'statement' ? subject : null,
        original: original === undefined ? null : shown(original),
      };
    }
  }
}

const shown = (original: Buffer): string =>
  isUtf8(original) ? original.toString('utf8') : `\\x${original.toString('hex')}`;

/** One line for people, safe for a terminal; an original is never cut. */
export function lineOf(one: Unsealed): string {
  const original = one.original === null ? colour.dim('(not kept)') : visible(one.original);
  const where = one.command === null ? '' : `command ${one.command}, `;
  return `${colour.bold(visible(one.rule))}  ${colour.dim(where + placeOf(one))}  ${original}`;
}

function placeOf({ part, row, column, offset, statement }: Unsealed): string {
  if (part === 'row') return `row ${row}, column ${column}, byte ${offset}`;
  if (part === 'parameter') return `parameter ${column}, byte ${offset}`;
  if (part === 'statement') return `statement ${statement}, byte ${offset}`;
  return `${part}, byte ${offset}`;
}
