/**
 * The lines of the old scp protocol, rcp's (https://github.com/openssh/openssh-portable/blob/master/scp.c, `source` and
 * `sink`): `C0644 5 name` a file of 5 bytes, `D0755 0 name` a directory, `E` its end, `T1 0 2 0` times of what comes next.
 */
import { ScpError } from './error.ts';

/** OpenSSH's own bound, its end included. */
export const longestLineBytes = 2048;

export type ScpLine =
  | {
      readonly kind: 'file' | 'directory';
      readonly mode: number;
      readonly size: number;
      readonly name: Buffer;
    }
  | { readonly kind: 'end' | 'times' };

const entry = /^([CD])([0-7]{4}) (\d{1,16}) ([^\n]+)\n$/;
const times = /^T\d{1,20} \d{1,6} \d{1,20} \d{1,6}\n$/;

/** A line with its end. @throws ScpError `scp-malformed-line`, `scp-unsafe-name` */
export function decodeLine(bytes: Buffer): ScpLine {
  const line = bytes.toString('latin1');
  if (line === 'E\n') return { kind: 'end' };
  if (times.test(line)) return { kind: 'times' };
  const [, letter, mode, size, name] = entry.exec(line) ?? [];
  if (name === undefined) throw new ScpError('scp-malformed-line', 'a line that is not of the scp protocol');
  const length = Number(size);
  if (!Number.isSafeInteger(length)) throw new ScpError('scp-malformed-line', 'a size that no file can have');
  // As OpenSSH: a name is one name, below the directory that was asked for.
  if (name.includes('/') || name.includes('\0') || name === '.' || name === '..')
    throw new ScpError('scp-unsafe-name', 'a file name that leads to another directory');
  return {
    kind: letter === 'C' ? 'file' : 'directory',
    mode: Number.parseInt(mode!, 8),
    size: length,
    name: Buffer.from(name, 'latin1'),
  };
}

/** An error that the transfer survives; the sender goes on with its next file. */
export const encodeError = (message: string): Buffer => {
  const line = [...`scp: ${message}`].map((letter) => (letter < ' ' ? ' ' : letter)).join('');
  return Buffer.from(`\x01${line.slice(0, longestLineBytes / 4)}\n`);
};
