/** Parameters of a command as lines of text, one for each value. */
import { decodeParameters } from '../read/parameters.ts';
import type { SearchText } from './text.ts';

export interface RecordedParameters {
  readonly protocol: string;
  readonly parameters: Buffer;
  /** Of the command. */
  readonly text: Buffer;
  /** OIDs that the client fixed. */
  readonly types: readonly number[];
  /** A decoder's name; null: UTF-8. */
  readonly encoding: string | null;
}

const newline = 10;

export function putParameters(recorded: RecordedParameters, into: SearchText): void {
  const { protocol, parameters, text, types, encoding } = recorded;
  if (protocol === 'postgres' && encoding === null && putTexts(parameters, into)) return;
  const bound = decodeParameters(protocol, parameters, text.toString('latin1'), types);
  for (const value of bound.values) {
    if (value === null) continue;
    const bytes = Buffer.from(value);
    into.put(bytes, 0, bytes.length);
    into.byte(newline);
  }
}

/** PostgreSQL's, when all are texts, which nearly all are; false: some are not, and nothing was put. */
function putTexts(bound: Buffer, into: SearchText): boolean {
  const size = bound.length;
  if (size < 4) return false;
  let at = 2 + 2 * int16(bound, 0);
  if (at + 2 > size) return false;
  for (let i = 2; i < at; i++) if (bound[i] !== 0) return false;
  const text = into.room(size);
  let to = into.length;
  at += 2;
  for (let left = int16(bound, at - 2); left > 0; left--) {
    if (at + 4 > size) return false;
    const length = int16(bound, at) * 0x1_0000 + int16(bound, at + 2);
    at += 4;
    // NULL is -1.
    if (length === 0xffff_ffff) continue;
    if (length > size - at) return false;
    for (const last = at + length; at < last;) text[to++] = bound[at++]!;
    text[to++] = newline;
  }
  into.grew(to);
  return true;
}

const int16 = (bytes: Buffer, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;
