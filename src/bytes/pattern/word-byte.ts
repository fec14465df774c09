/** Letter, digit or `_`, or part of a character outside ASCII: what a word boundary tells apart. */
export const isWordByte = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 48 && byte <= 57) ||
    ((byte | 0x20) >= 97 && (byte | 0x20) <= 122 && byte < 0x80) ||
    byte === 0x5f ||
    byte >= 0x80);
