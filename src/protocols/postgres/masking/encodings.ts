/**
 * Encodings of a client in which the second byte of a letter may be one of ASCII's
 * (https://www.postgresql.org/docs/current/multibyte.html): a digit behind such a letter stands behind a "letter", and a
 * backslash or a delimiter of COPY may be half of one. What is masked must not be read in them.
 */
import { PostgresError } from '../error.ts';

const embedding = new Set(['sjis', 'shiftjis', 'mskanji', 'win932', 'windows932', 'shiftjis2004', 'big5', 'win950', 'windows950', 'gbk', 'win936', 'windows936', 'gb18030', 'uhc', 'win949', 'windows949', 'johab']); // prettier-ignore

/** The target compares names without case and marks. */
export const embedsAscii = (encoding: string): boolean =>
  embedding.has(encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));

/** @param status body of a ParameterStatus: a name and a value. @throws PostgresError */
export function checkEncoding(status: Buffer): void {
  const [name, value] = status.toString('latin1').split('\0');
  if (name !== 'client_encoding' || value === undefined || !embedsAscii(value)) return;
  throw new PostgresError('postgres-masking-refused', `values cannot be masked in client_encoding ${value}`, {
    hint: 'Set client_encoding to UTF8.',
  });
}
