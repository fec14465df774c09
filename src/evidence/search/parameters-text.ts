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
  if (bound.length < 4) return false;
  const formats = bound.readUInt16BE(0);
  let at = 2 + 2 * formats;
  if (at + 2 > bound.length) return false;
  for (let i = 2; i < at; i += 2) if (bound.readUInt16BE(i) !== 0) return false;
  const values = bound.readUInt16BE(at);
  at += 2;
  const places: number[] = [];
  for (let left = values; left > 0; left--) {
    if (at + 4 > bound.length) return false;
    const length = bound.readInt32BE(at);
    at += 4;
    if (length === -1) continue;
    if (length < 0 || at + length > bound.length) return false;
    places.push(at, at + length);
    at += length;
  }
  for (let i = 0; i < places.length; i += 2) {
    into.put(bound, places[i]!, places[i + 1]!);
    into.byte(newline);
  }
  return true;
}
