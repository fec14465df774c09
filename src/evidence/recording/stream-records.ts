/**
 * Passes over what programs and databases sent, which is nearly all of a recording, for who asks for commands alone. What has not
 * exactly the form that the recorder writes is left to be decoded, so that damage is found as by everybody else.
 */
import type { StreamKind } from './records.ts';

const array = 0x80, unsigned = 0x00, byteString = 0x40, text = 0x60; // prettier-ignore

const kinds = (['input', 'output', 'error-output'] satisfies StreamKind[]).map((name) =>
  Buffer.from([text | name.length, ...Buffer.from(name)]),
);

/** Where the record at `at` ends if it is one of a stream, `[t, kind, connection, command, bytes]`; else -1. */
export function endOfStreamRecord(segment: Buffer, at: number): number {
  if (segment[at] !== (array | 5)) return -1;
  let end = endOfUint(segment, at + 1);
  end = end === -1 ? -1 : endOfKind(segment, end);
  end = end === -1 ? -1 : endOfUint(segment, end);
  end = end === -1 ? -1 : endOfUint(segment, end);
  return end === -1 ? -1 : endOfBytes(segment, end);
}

/** Bytes of the argument behind the first byte, by its lower five bits. */
const argumentBytes = (info: number): number =>
  info < 24 ? 0 : info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : -1;

function endOfUint(segment: Buffer, at: number): number {
  if (at >= segment.length) return -1;
  const more = argumentBytes(segment[at]! - unsigned);
  if (more === -1 || more > segment.length - at - 1) return -1;
  // Nine bytes can say more than a safe integer.
  return more === 8 && segment.readUInt32BE(at + 1) > 0x1f_ffff ? -1 : at + 1 + more;
}

function endOfKind(segment: Buffer, at: number): number {
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    let same = 0;
    while (same < kind.length && segment[at + same] === kind[same]) same++;
    if (same === kind.length) return at + same;
  }
  return -1;
}

function endOfBytes(segment: Buffer, at: number): number {
  if (at >= segment.length) return -1;
  const info = segment[at]! - byteString;
  const more = info < 0 ? -1 : argumentBytes(info);
  const start = at + 1 + more;
  if (more === -1 || more === 8 || start > segment.length) return -1;
  const length = more === 0 ? info : segment.readUIntBE(at + 1, more);
  return length > segment.length - start ? -1 : start + length;
}
