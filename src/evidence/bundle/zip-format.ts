/**
 * ZIP as bundles use it (PKWARE APPNOTE 6.3.10, ISO/IEC 21320-1): regular files, stored or deflated, names in UTF-8. Sizes and
 * offsets stand in ZIP64 fields wherever they can pass 4 GiB. No encryption, no data descriptors, no comments, one disk.
 */
import { EvidenceError } from '../error.ts';

export const stored = 0;
export const deflated = 8;
export type ZipMethod = typeof stored | typeof deflated;

/** A file in a ZIP. */
export interface ZipEntry {
  readonly name: string;
  readonly method: ZipMethod;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** Of its local header. */
  readonly offset: number;
}

export const localHeaderBytes = 30;
export const centralHeaderBytes = 46;
export const endBytes = 22;
export const end64Bytes = 56;
export const locatorBytes = 20;

export const localSignature = 0x04034b50;
export const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locatorSignature = 0x07064b50;

const zip64 = 0x0001;
const saturated16 = 0xffff;
const saturated32 = 0xffffffff;
const utf8Flag = 0x0800;
/** Bits 1 and 2 say how hard deflate tried; bit 11 that names are UTF-8. All others change what the bytes mean. */
const knownFlags = 0x0806;
const version45 = 45;
const unix = 3;
const regularFile = 0o100000;
const directory = 0o040000;
const typeMask = 0o170000;

export const malformed = (what: string): EvidenceError =>
  new EvidenceError('bundle-malformed', `the bundle is refused: ${what}`, {
    hint: 'take it again from where it was made; do not unpack this one',
  });

/** MS-DOS date and time, UTC. */
function dosTime(ms: number): { date: number; time: number } {
  const at = new Date(Math.max(ms, Date.UTC(1980)));
  return {
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  };
}

/** With both sizes in the ZIP64 field, so that it can be written again once they are known. */
export function encodeLocal(
  { name, method, crc32, compressedBytes, bytes }: ZipEntry,
  timeMs: number,
): Buffer {
  const encoded = Buffer.from(name);
  const header = Buffer.alloc(localHeaderBytes + encoded.length + 20);
  const { date, time } = dosTime(timeMs);
  header.writeUInt32LE(localSignature, 0);
  header.writeUInt16LE(version45, 4);
  header.writeUInt16LE(utf8Flag, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt16LE(time, 10);
  header.writeUInt16LE(date, 12);
  header.writeUInt32LE(crc32, 14);
  header.writeUInt32LE(saturated32, 18);
  header.writeUInt32LE(saturated32, 22);
  header.writeUInt16LE(encoded.length, 26);
  header.writeUInt16LE(20, 28);
  encoded.copy(header, localHeaderBytes);
  const extra = localHeaderBytes + encoded.length;
  header.writeUInt16LE(zip64, extra);
  header.writeUInt16LE(16, extra + 2);
  header.writeBigUInt64LE(BigInt(bytes), extra + 4);
  header.writeBigUInt64LE(BigInt(compressedBytes), extra + 12);
  return header;
}

export function encodeCentral(entry: ZipEntry, timeMs: number): Buffer {
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(centralHeaderBytes + name.length + 28);
  const { date, time } = dosTime(timeMs);
  header.writeUInt32LE(centralSignature, 0);
  header.writeUInt16LE((unix << 8) | version45, 4);
  header.writeUInt16LE(version45, 6);
  header.writeUInt16LE(utf8Flag, 8);
  header.writeUInt16LE(entry.method, 10);
  header.writeUInt16LE(time, 12);
  header.writeUInt16LE(date, 14);
  header.writeUInt32LE(entry.crc32, 16);
  header.writeUInt32LE(saturated32, 20);
  header.writeUInt32LE(saturated32, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(28, 30);
  header.writeUInt32LE(((regularFile | 0o600) << 16) >>> 0, 38);
  header.writeUInt32LE(saturated32, 42);
  name.copy(header, centralHeaderBytes);
  const extra = centralHeaderBytes + name.length;
  header.writeUInt16LE(zip64, extra);
  header.writeUInt16LE(24, extra + 2);
  header.writeBigUInt64LE(BigInt(entry.bytes), extra + 4);
  header.writeBigUInt64LE(BigInt(entry.compressedBytes), extra + 12);
  header.writeBigUInt64LE(BigInt(entry.offset), extra + 20);
  return header;
}

/** Where the central directory is. */
export interface ZipEnd {
  readonly entries: number;
  readonly offset: number;
  readonly bytes: number;
}

/** ZIP64 end record, its locator, and the end record that points there. */
export function encodeEnd({ entries, offset, bytes }: ZipEnd): Buffer {
  const end = Buffer.alloc(end64Bytes + locatorBytes + endBytes);
  end.writeUInt32LE(end64Signature, 0);
  end.writeBigUInt64LE(BigInt(end64Bytes - 12), 4);
  end.writeUInt16LE((unix << 8) | version45, 12);
  end.writeUInt16LE(version45, 14);
  end.writeBigUInt64LE(BigInt(entries), 24);
  end.writeBigUInt64LE(BigInt(entries), 32);
  end.writeBigUInt64LE(BigInt(bytes), 40);
  end.writeBigUInt64LE(BigInt(offset), 48);
  end.writeUInt32LE(locatorSignature, end64Bytes);
  end.writeBigUInt64LE(BigInt(offset + bytes), end64Bytes + 8);
  end.writeUInt32LE(1, end64Bytes + 16);
  const last = end64Bytes + locatorBytes;
  end.writeUInt32LE(endSignature, last);
  end.writeUInt16LE(Math.min(entries, saturated16), last + 8);
  end.writeUInt16LE(Math.min(entries, saturated16), last + 10);
  end.writeUInt32LE(Math.min(bytes, saturated32), last + 12);
  end.writeUInt32LE(Math.min(offset, saturated32), last + 16);
  return end;
}

function wide(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('a size in it is impossible');
  return Number(value);
}

/**
 * @param tail the last bytes of the file, at least `endBytes`; with the 76 before them when there are so many
 * @param fileBytes of the whole file
 * @throws EvidenceError `bundle-malformed`
 */
export function decodeEnd(tail: Buffer, fileBytes: number): ZipEnd {
  const at = tail.length - endBytes;
  if (at < 0 || tail.readUInt32LE(at) !== endSignature || tail.readUInt16LE(at + 20) !== 0)
    throw malformed('it does not end like a ZIP file (it may be cut, or something follows it)');
  const entries = tail.readUInt16LE(at + 10);
  if (
    tail.readUInt16LE(at + 4) !== 0 ||
    tail.readUInt16LE(at + 6) !== 0 ||
    tail.readUInt16LE(at + 8) !== entries
  )
    throw malformed('it is a part of several');
  const narrow = { entries, bytes: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16) };
  const locator = at - locatorBytes;
  const wideEnd =
    locator >= end64Bytes && tail.readUInt32LE(locator) === locatorSignature
      ? decodeEnd64(tail, locator, fileBytes)
      : null;
  const end = wideEnd ?? narrow;
  const after = wideEnd === null ? endBytes : end64Bytes + locatorBytes + endBytes;
  const agrees =
    Math.min(end.entries, saturated16) === narrow.entries &&
    Math.min(end.bytes, saturated32) === narrow.bytes &&
    Math.min(end.offset, saturated32) === narrow.offset;
  if (wideEnd !== null ? !agrees : entries === saturated16) throw malformed('its ends disagree');
  if (end.offset + end.bytes + after !== fileBytes)
    throw malformed('its directory is not where its end says');
  return end;
}

function decodeEnd64(tail: Buffer, locator: number, fileBytes: number): ZipEnd {
  const at = locator - end64Bytes;
  const consistent =
    wide(tail, locator + 8) === fileBytes - endBytes - locatorBytes - end64Bytes &&
    tail.readUInt32LE(locator + 4) === 0 &&
    tail.readUInt32LE(locator + 16) === 1 &&
    tail.readUInt32LE(at) === end64Signature &&
    wide(tail, at + 4) === end64Bytes - 12 &&
    tail.readUInt32LE(at + 16) === 0 &&
    tail.readUInt32LE(at + 20) === 0 &&
    wide(tail, at + 24) === wide(tail, at + 32);
  if (!consistent) throw malformed('its ends disagree');
  return { entries: wide(tail, at + 32), bytes: wide(tail, at + 40), offset: wide(tail, at + 48) };
}

/** A header and what follows it. */
export interface Decoded {
  /** Null: a directory, which holds nothing. */
  readonly entry: ZipEntry | null;
  readonly headerBytes: number;
}

/** @throws EvidenceError `bundle-malformed` */
export function decodeCentral(bytes: Buffer, at: number): Decoded {
  if (at + centralHeaderBytes > bytes.length || bytes.readUInt32LE(at) !== centralSignature)
    throw malformed('its directory is cut');
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
  const headerBytes = centralHeaderBytes + nameBytes! + extraBytes! + commentBytes!;
  if (at + headerBytes > bytes.length) throw malformed('its directory is cut');
  const nameEnd = at + centralHeaderBytes + nameBytes!;
  const common = decodeCommon(bytes, at + 8, bytes.subarray(at + centralHeaderBytes, nameEnd));
  const sizes = wideFields(bytes.subarray(nameEnd, nameEnd + extraBytes!), {
    bytes: bytes.readUInt32LE(at + 24),
    compressedBytes: bytes.readUInt32LE(at + 20),
    offset: bytes.readUInt32LE(at + 42),
  });
  if (bytes.readUInt16LE(at + 34) !== 0) throw malformed('it is a part of several');
  const type = (bytes.readUInt32LE(at + 38) >>> 16) & typeMask;
  const entry = { ...common, ...sizes };
  if (entry.name.endsWith('/')) {
    if (entry.bytes !== 0 || (type !== 0 && type !== directory))
      throw malformed('a directory in it has content');
    return { entry: null, headerBytes };
  }
  if (type !== 0 && type !== regularFile) throw malformed(`${quoted(entry.name)} is no regular file`);
  checkSizes(entry);
  return { entry, headerBytes };
}

/** @param bytes from its signature to the end of its extra field, or more. @throws EvidenceError `bundle-malformed` */
export function decodeLocal(bytes: Buffer, offset: number): { entry: ZipEntry; headerBytes: number } {
  if (bytes.length < localHeaderBytes || bytes.readUInt32LE(0) !== localSignature)
    throw malformed('a file in it does not begin where its directory says');
  const nameEnd = localHeaderBytes + bytes.readUInt16LE(26);
  const headerBytes = nameEnd + bytes.readUInt16LE(28);
  if (headerBytes > bytes.length) throw malformed('a file in it is cut');
  const common = decodeCommon(bytes, 6, bytes.subarray(localHeaderBytes, nameEnd));
  const { bytes: size, compressedBytes } = wideFields(bytes.subarray(nameEnd, headerBytes), {
    bytes: bytes.readUInt32LE(22),
    compressedBytes: bytes.readUInt32LE(18),
    offset: 0,
  });
  return { entry: { ...common, bytes: size, compressedBytes, offset }, headerBytes };
}

/** @param at of the flags */
function decodeCommon(bytes: Buffer, at: number, name: Buffer): Pick<ZipEntry, 'name' | 'method' | 'crc32'> {
  const flags = bytes.readUInt16LE(at);
  if ((flags & ~knownFlags) !== 0)
    throw malformed((flags & 1) === 0 ? 'a file in it is of an unusual form' : 'a file in it is encrypted');
  const method = bytes.readUInt16LE(at + 2);
  if (method !== stored && method !== deflated)
    throw malformed('a file in it is compressed in an unusual way');
  return { name: decodeName(name), method, crc32: bytes.readUInt32LE(at + 8) };
}

/** Longer than any path of evidence. */
const longestName = 512;

/** Printable ASCII, relative, and nothing that leads elsewhere: on no system does it name another place. */
function decodeName(bytes: Buffer): string {
  const name = bytes.toString('latin1');
  const parts = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  const harmless =
    name.length <= longestName &&
    /^[\x21-\x7e]+$/.test(name) &&
    !/[\\:*?"<>|]/.test(name) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!harmless) throw malformed(`a file in it has the name ${quoted(name)}`);
  return name;
}

const quoted = (name: string): string => JSON.stringify(name.slice(0, 200));

type Sizes = Pick<ZipEntry, 'bytes' | 'compressedBytes' | 'offset'>;

/** Fields that are saturated stand in the ZIP64 extra field, in this order. */
function wideFields(extra: Buffer, narrow: Sizes): Sizes {
  const found = { ...narrow };
  const missing = (['bytes', 'compressedBytes', 'offset'] as const).filter(
    (name) => narrow[name] === saturated32,
  );
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) throw malformed('an extra field in it is cut');
    if (extra.readUInt16LE(at) === zip64)
      for (let from = at + 4; from + 8 <= end && missing.length > 0; from += 8)
        found[missing.shift()!] = wide(extra, from);
    at = end;
  }
  return found;
}

/** Below this, compression proves nothing; above, no text that is evidence shrinks to less than a five-hundredth. */
const bombBytes = 16 * 1024 * 1024;
const bombRatio = 500;

/** Deflate adds some bytes to each block of what cannot be compressed; more is there to fill a reader's memory. */
const longestDeflated = (bytes: number): number => bytes + bytes / 8 + 1024;

function checkSizes({ name, method, bytes, compressedBytes }: ZipEntry): void {
  if (method === stored && bytes !== compressedBytes) throw malformed(`${quoted(name)} has two sizes`);
  if (method === deflated && compressedBytes > longestDeflated(bytes))
    throw malformed(`${quoted(name)} is compressed to more than it is`);
  if (bytes > bombBytes && bytes > compressedBytes * bombRatio)
    throw malformed(`${quoted(name)} would grow without bounds (a ZIP bomb)`);
}
