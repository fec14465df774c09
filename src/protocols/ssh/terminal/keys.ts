/**
 * What the client sends, cut into keys. Every byte is in exactly one key, in order, and no byte waits for the next chunk: a
 * key that a chunk cuts off is `part`, and its end is the key. What a key is, is a terminal's convention; a program may take
 * it otherwise. In doubt a key submits.
 */

export type KeyKind =
  | 'text'
  /** Enter, and what line editors take as Enter. */
  | 'submit'
  /** Ctrl-O: submits, and the next line of the history is there to be edited. */
  | 'submit-and-next'
  /** Ctrl-X Ctrl-E: what is written in an editor is submitted when it ends. */
  | 'edit-and-submit'
  /** Ctrl-D: submits what stands there in a terminal without a line editor. */
  | 'end-of-input'
  | 'interrupt'
  | 'erase'
  | 'kill'
  /** Edits that leave the cursor at the end of the line. */
  | 'at-end'
  /** Everything else that a person can press. */
  | 'other'
  | 'paste-start'
  | 'paste-end'
  /** The terminal speaks, not the person. */
  | 'report'
  | 'part';

export interface Key {
  readonly kind: KeyKind;
  readonly bytes: Buffer;
  /** Between the marks of a bracketed paste. */
  readonly pasted: boolean;
}

type State = 'ground' | 'escape' | 'csi' | 'ss3';

const escape = 0x1b;
const sequenceLimit = 64;
const pasteEnd = '\u001b[201~';

const controls: Partial<Record<number, KeyKind>> = {
  0x03: 'interrupt',
  0x04: 'end-of-input',
  0x05: 'at-end',
  0x06: 'at-end',
  0x08: 'erase',
  0x09: 'at-end',
  0x0a: 'submit',
  0x0b: 'at-end',
  0x0c: 'at-end',
  0x0d: 'submit',
  0x0e: 'at-end',
  0x0f: 'submit-and-next',
  0x10: 'at-end',
  0x15: 'kill',
  0x17: 'at-end',
  0x19: 'at-end',
  0x7f: 'erase',
};

/** Replies of a terminal to questions, whole. */
// oxlint-disable-next-line no-control-regex -- control sequences are what this looks for
const reply = /^\x1b(?:\]\d+;[^\x00-\x1f]{0,200}(?:\x07|\x1b\\)|P[^\x00-\x1f]{0,200}\x1b\\)/;

export class KeyReader {
  #state: State = 'ground';
  #sequence = '';
  #pasted = false;
  /** Ctrl-X was the key before. */
  #prefixed = false;

  /** `bytes` are copied. */
  push(bytes: Uint8Array): Key[] {
    const chunk = Buffer.from(bytes);
    const keys: Key[] = [];
    let start = 0;
    let position = 0;
    const end = (kind: KeyKind): void => {
      keys.push({ kind, bytes: chunk.subarray(start, position), pasted: this.#pasted });
      start = position;
    };
    while (position < chunk.length) {
      if (this.#state !== 'ground') {
        const kind = this.#sequenceByte(chunk, position);
        // A control character inside a sequence is a key of its own, whatever becomes of the sequence.
        if (kind === 'interrupted') {
          if (position > start) end('part');
          continue;
        }
        position++;
        if (kind === null) continue;
        this.#ended(kind, end);
        continue;
      }
      const byte = chunk[position]!;
      if (byte >= 0x20 && byte !== 0x7f) {
        while (position < chunk.length && chunk[position]! >= 0x20 && chunk[position] !== 0x7f) position++;
        this.#prefixed = false;
        end('text');
      } else if (byte === escape) {
        const whole = this.#pasted ? null : reply.exec(chunk.toString('latin1', position, position + 512));
        if (whole === null) {
          position++;
          this.#state = 'escape';
          this.#sequence = '\u001b';
        } else {
          position += whole[0].length;
          end('report');
        }
      } else {
        position++;
        end(this.#control(byte));
      }
    }
    if (position > start) end('part');
    return keys;
  }

  #ended(kind: KeyKind, end: (kind: KeyKind) => void): void {
    this.#prefixed = false;
    if (this.#pasted && this.#sequence !== pasteEnd) end('other');
    else if (kind === 'paste-end') {
      this.#pasted = false;
      end(kind);
    } else {
      end(kind);
      if (kind === 'paste-start') this.#pasted = true;
    }
    this.#sequence = '';
  }

  #control(byte: number): KeyKind {
    const prefixed = this.#prefixed;
    this.#prefixed = byte === 0x18;
    if (prefixed && byte === 0x05) return 'edit-and-submit';
    return controls[byte] ?? 'other';
  }

  /** @returns the key's kind when the sequence ends here; null: it goes on */
  #sequenceByte(chunk: Buffer, position: number): KeyKind | 'interrupted' | null {
    const byte = chunk[position]!;
    if (byte < 0x20 || byte === 0x7f || this.#sequence.length >= sequenceLimit) {
      if (this.#state === 'escape' && (byte === 0x7f || byte === 0x08)) return this.#close('kill', byte);
      this.#state = 'ground';
      this.#sequence = '';
      return 'interrupted';
    }
    this.#sequence += String.fromCharCode(byte);
    if (this.#state === 'ss3') return this.#close(ss3Key(byte), null);
    if (this.#state === 'csi') {
      if (byte < 0x40 || byte > 0x7e) return null;
      return this.#close(csiKey(this.#sequence.slice(2, -1), byte), null);
    }
    if (byte === 0x5b) this.#state = 'csi';
    else if (byte === 0x4f) this.#state = 'ss3';
    else return this.#close(metaKey(byte), null);
    return null;
  }

  #close(kind: KeyKind, byte: number | null): KeyKind {
    if (byte !== null) this.#sequence += String.fromCharCode(byte);
    this.#state = 'ground';
    return kind;
  }
}

function metaKey(byte: number): KeyKind {
  if (byte === 0x64) return 'kill'; // Alt-d
  if (byte === 0x66) return 'at-end'; // Alt-f
  return 'other';
}

function ss3Key(final: number): KeyKind {
  if (final === 0x4d) return 'submit'; // the keypad's Enter
  return arrow(final) ?? 'other';
}

/** Up, down, right and End leave the cursor at the end of a line that it is at the end of. */
function arrow(final: number): KeyKind | null {
  return final === 0x41 || final === 0x42 || final === 0x43 || final === 0x46 ? 'at-end' : null;
}

function csiKey(parameters: string, final: number): KeyKind {
  switch (String.fromCharCode(final)) {
    case '~':
      return tildeKey(parameters);
    case 'u':
      return unicodeKey(parameters);
    case 'R':
    case 'c':
    case 'n':
    case 'I':
    case 'O':
    case 't':
    case 'x':
    case 'y':
      return 'report';
    case 'M':
    case 'm':
      return parameters.startsWith('<') ? 'report' : 'other';
    default:
      return arrow(final) ?? 'other';
  }
}

function tildeKey(parameters: string): KeyKind {
  if (parameters === '200') return 'paste-start';
  if (parameters === '201') return 'paste-end';
  if (parameters === '4' || parameters === '8') return 'at-end';
  const [first, modifiers = '1', code = '0'] = parameters.split(';');
  return first === '27' ? codeKey(Number(code), Number(modifiers)) : 'other';
}

/** https://sw.kovidgoyal.net/kitty/keyboard-protocol: `code:…;modifiers:event` */
function unicodeKey(parameters: string): KeyKind {
  if (!/^\d/.test(parameters)) return 'report';
  const [code = '0', modifiers = '1'] = parameters.split(';');
  const [bits = '1', event = '1'] = modifiers.split(':');
  if (event === '3') return 'report'; // a key let go
  return codeKey(Number.parseInt(code, 10), Number(bits === '' ? '1' : bits));
}

function codeKey(code: number, modifiers: number): KeyKind {
  if (code === 13 || code === 57_414) return 'submit';
  const control = ((modifiers - 1) & 4) !== 0;
  if (!control) return 'other';
  return controls[code & 0x1f] ?? 'other';
}
