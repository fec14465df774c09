/**
 * Paths in the text of a command. A path stands as it is, byte for byte, where nobody can misread it. One with blanks, quotes,
 * backslashes or nothing in it is quoted as a shell would: `'a b'`. One with control characters, invisible or direction-changing
 * characters, blanks other than U+0020, an apostrophe, or bytes that are not UTF-8 stands as `$'…'`, with `\'`, `\\`, and `\xHH`
 * for each byte of those: reading it back as bash does gives the path's bytes.
 */
import { isUtf8 } from 'node:buffer';

const misleading = /[\p{C}\p{Z}]/u;

export function quotedPath(path: Buffer): Buffer {
  let harmless = path.length > 0;
  let simple = true;
  let ascii = true;
  for (const byte of path) {
    if (byte > 0x7e) ascii = false;
    if (byte === 0x20 || byte === 0x22 || byte === 0x5c) harmless = false;
    else if (byte < 0x20 || byte === 0x27 || byte === 0x7f) simple = false;
  }
  if (!ascii && (!isUtf8(path) || misleading.test(path.toString().replaceAll(' ', '')))) simple = false;
  if (!simple) return Buffer.from(escaped(path));
  return harmless ? path : Buffer.concat([apostrophe, path, apostrophe]);
}

const apostrophe = Buffer.from("'");

function escaped(path: Buffer): Buffer {
  const readable = isUtf8(path);
  const parts: string[] = [];
  // One character after the other where they are characters, else one byte after the other.
  for (const character of readable ? path.toString() : path.toString('latin1')) {
    const code = character.codePointAt(0)!;
    if (character === "'" || character === '\\') parts.push('\\', character);
    else if (code === 0x20 || (readable ? !misleading.test(character) : code > 0x20 && code < 0x7f))
      parts.push(character);
    else for (const byte of Buffer.from(character, readable ? 'utf8' : 'latin1')) parts.push(hex(byte));
  }
  return Buffer.from(`$'${parts.join('')}'`);
}

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`;

/** `verb` and what follows, with blanks between. */
export function commandText(verb: string, ...parts: readonly Uint8Array[]): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(verb)];
  for (const part of parts) pieces.push(blank, part);
  return Buffer.concat(pieces);
}

const blank = Buffer.from(' ');
