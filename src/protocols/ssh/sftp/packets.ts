/**
 * SFTP version 3 (https://www.ietf.org/archive/id/draft-ietf-secsh-filexfer-02.txt), as OpenSSH speaks it: its numbers and
 * names, and the few packets that are not passed on but made here. A packet is a length of four bytes that does not count
 * itself, a type, and but for INIT and VERSION a request id.
 */
import type { BoundedReader } from '../../../bytes/bounded-reader.ts';
import { SftpError } from './error.ts';

export const Fxp = {
  init: 1, version: 2, open: 3, close: 4, read: 5, write: 6, lstat: 7, fstat: 8, setstat: 9, fsetstat: 10,
  opendir: 11, readdir: 12, remove: 13, mkdir: 14, rmdir: 15, realpath: 16, stat: 17, rename: 18, readlink: 19,
  symlink: 20, status: 101, handle: 102, data: 103, name: 104, attrs: 105, extended: 200, extendedReply: 201,
} as const; // prettier-ignore

export const fxOk = 0;
export const fxEof = 1;
export const fxPermissionDenied = 3;
export const fxFailure = 4;
export const fxOpUnsupported = 8;

/** Names of the codes, as outcomes say them. */
const codeNames = [
  'SSH_FX_OK',
  'SSH_FX_EOF',
  'SSH_FX_NO_SUCH_FILE',
  'SSH_FX_PERMISSION_DENIED',
  'SSH_FX_FAILURE',
  'SSH_FX_BAD_MESSAGE',
  'SSH_FX_NO_CONNECTION',
  'SSH_FX_CONNECTION_LOST',
  'SSH_FX_OP_UNSUPPORTED',
];
export const codeName = (code: number): string => codeNames[code] ?? `SSH_FX_${code}`;

/** The longest packet by its length field: 256 KiB, OpenSSH's own bound, and room for what stands before the data. */
export const longestPacketBytes = 256 * 1024 + 1024;
/** Of a request that is no WRITE: two paths and attributes. */
export const longestRequestBytes = 32 * 1024;
/** The protocol's bound. */
export const longestHandleBytes = 256;
export const protocolVersion = 3;

/** Extensions that are understood, with the data that names their version. Others are neither offered nor passed. */
export const extensions: ReadonlyMap<string, string> = new Map([
  ['posix-rename@openssh.com', '1'],
  ['hardlink@openssh.com', '1'],
  ['statvfs@openssh.com', '2'],
  ['fstatvfs@openssh.com', '2'],
  ['fsync@openssh.com', '1'],
  ['lsetstat@openssh.com', '1'],
  ['limits@openssh.com', '1'],
  ['expand-path@openssh.com', '1'],
  ['copy-data', '1'],
  ['home-directory', '1'],
  ['users-groups-by-id@openssh.com', '1'],
]);

/** `pflags` of OPEN. */
export const Open = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const string = (value: string | Uint8Array): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
};

export function encodePacket(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  return Buffer.concat([uint32(length), Buffer.of(type), ...parts]);
}

export const encodeStatus = (id: number, code: number, message: string): Buffer =>
  encodePacket(Fxp.status, uint32(id), uint32(code), string(message), string(''));

/** The bytes of a string, as a view. @throws BytesError */
export const takeString = (reader: BoundedReader): Buffer => reader.take(reader.uint32());

/** As a number that is exact up to 2^53. @throws BytesError */
export const takeUint64 = (reader: BoundedReader): number => reader.uint32() * 2 ** 32 + reader.uint32();

/** ATTRS; each null where it is not told. */
export interface Attributes {
  readonly size: number | null;
  readonly owner: readonly [uid: number, gid: number] | null;
  readonly mode: number | null;
  readonly times: readonly [accessed: number, modified: number] | null;
  readonly extended: number;
}

const Attr = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 } as const;
const known = Attr.size | Attr.owner | Attr.mode | Attr.times;

/** @throws SftpError `sftp-malformed-packet` for a flag that version 3 does not have, BytesError */
export function takeAttributes(reader: BoundedReader): Attributes {
  const flags = reader.uint32();
  if ((flags & ~known & 0x7fffffff) !== 0)
    throw new SftpError('sftp-malformed-packet', 'attributes with a flag that SFTP version 3 does not have');
  const size = (flags & Attr.size) === 0 ? null : takeUint64(reader);
  const owner = (flags & Attr.owner) === 0 ? null : ([reader.uint32(), reader.uint32()] as const);
  const mode = (flags & Attr.mode) === 0 ? null : reader.uint32();
  const times = (flags & Attr.times) === 0 ? null : ([reader.uint32(), reader.uint32()] as const);
  const extended = flags >= Attr.extended ? reader.uint32() : 0;
  for (let i = 0; i < extended; i++) {
    takeString(reader);
    takeString(reader);
  }
  return { size, owner, mode, times, extended };
}

/** Filename, long name and attributes; returns the filename as a view. @throws BytesError, SftpError */
export function takeName(reader: BoundedReader): Buffer {
  const name = takeString(reader);
  takeString(reader);
  takeAttributes(reader);
  return name;
}
