/** Texts for formats whose receivers take lines of a bounded length. The record itself has each in full. */

/** Bytes of UTF-8 at most, cut between characters, with a mark that says how long it was. @param limit in bytes, over 32 */
export function bounded(text: string, limit: number): string {
  // A code unit is three bytes at most.
  if (text.length * 3 <= limit) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  const mark = `…[${bytes.length} bytes]`;
  let end = limit - Buffer.byteLength(mark);
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}${mark}`;
}

/**
 * Controls (Unicode Cc, line and paragraph separators, changes of writing direction) as `\xNN` or `\uNNNN`: one event stays
 * one line, and its parts stay in their order wherever it is shown.
 */
export const oneLine = (text: string): string =>
  text.toWellFormed().replaceAll(/[\p{Cc}\u2028\u2029\p{Bidi_Control}]/gu, (found) => {
    const code = found.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
