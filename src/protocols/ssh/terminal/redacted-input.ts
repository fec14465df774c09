/**
 * What is recorded of typed input. A password may be among it, and nothing tells which keys it is made of: every character
 * is starred, and so is a character that a terminal sends as a sequence (the kitty protocol's `CSI 97u`, the keypad's
 * `SS3 q`). Control characters and other sequences stay, so that a reader sees what was pressed; so do lengths.
 */

const star = 0x2a;
const escape = 0x1b;
const sequenceLimit = 64;

/** Keeps where in a sequence a chunk ended. One for each channel. */
export class InputRedactor {
  #state: 'text' | 'escape' | 'csi' | 'ss3' = 'text';
  #length = 0;

  /** A copy of the same length; `bytes` stay as they are. */
  redact(bytes: Uint8Array): Buffer {
    const redacted = Buffer.from(bytes);
    for (let index = 0; index < redacted.length; index++) redacted[index] = this.#byte(redacted, index);
    return redacted;
  }

  #byte(bytes: Buffer, index: number): number {
    const byte = bytes[index]!;
    if (byte < 0x20 || byte === 0x7f) {
      this.#state = byte === escape ? 'escape' : 'text';
      return byte;
    }
    switch (this.#state) {
      case 'text':
        return star;
      case 'escape':
        this.#length = 0;
        this.#state = byte === 0x5b && !speaks(bytes, index + 1) ? 'csi' : byte === 0x4f ? 'ss3' : 'text';
        return this.#state === 'text' && byte !== 0x5b ? star : byte;
      case 'ss3':
        this.#state = 'text';
        return byte >= 0x41 && byte <= 0x5a ? byte : star;
      case 'csi':
        if (byte >= 0x40 || byte < 0x30 || ++this.#length > sequenceLimit) this.#state = 'text';
        return byte >= 0x30 && byte <= 0x7e ? byte : star;
    }
  }
}

/** The sequence whose parameters begin here stands for a character, or its end is not here to tell. */
function speaks(bytes: Buffer, start: number): boolean {
  let end = start;
  while (end < bytes.length && end - start < sequenceLimit && bytes[end]! >= 0x30 && bytes[end]! <= 0x3f)
    end++;
  const final = end < bytes.length ? String.fromCharCode(bytes[end]!) : 'u';
  return final === 'u' || (final === '~' && bytes.toString('latin1', start, end).startsWith('27;'));
}

/** Of a whole input. */
export function redactedInput(bytes: Uint8Array): Buffer {
  return new InputRedactor().redact(bytes);
}
