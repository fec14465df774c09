/**
 * Messages that carry text and no row: errors and notices, notifications, parameters, column names, results of the
 * function call protocol. What is masked is named by its offset in the message.
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { Edits } from './edits.ts';
import { FoundValues } from './found-values.ts';
import type { HiddenText } from './hidden-text.ts';
import { Form } from './types.ts';
import type { ValueMasker } from './values.ts';

/** Message types, as ASCII. */
const errorResponse = 0x45, notice = 0x4e, notification = 0x41, parameterStatus = 0x53; // prettier-ignore
const rowDescription = 0x54, functionResponse = 0x56; // prettier-ignore

/** Fields of an error that a client acts on, and that hold no text: severity, SQLSTATE, positions, source line. */
const codes = new Set(Buffer.from('SVCPpL'));
/** Behind a column's name: table OID, attribute, type OID, size, modifier, format. */
const columnBytes = 18;

export class TextMasker {
  readonly #values: ValueMasker;
  readonly #hidden: HiddenText;
  readonly #found = new FoundValues();
  readonly #edits = new Edits();

  constructor(values: ValueMasker, hidden: HiddenText) {
    this.#values = values;
    this.#hidden = hidden;
  }

  /**
   * Masks one whole message of the listed types. Returns what stands instead, or null when it was changed in place, if at all.
   * @throws BytesError, PostgresError
   */
  mask(type: number, bytes: Buffer, start: number, end: number): Buffer | null {
    this.#found.clear();
    this.#edits.messageAt = start;
    this.#edits.lengthAt = -1;
    this.#values.at(-1, -1, start);
    const reader = new BoundedReader(bytes, start + headerBytes, end);
    switch (type) {
      case errorResponse:
      case notice:
        this.#fields(reader);
        break;
      case notification:
        reader.int32();
        this.#text(reader);
        this.#text(reader);
        reader.finish();
        break;
      case parameterStatus:
        reader.cstringBytes();
        this.#text(reader);
        reader.finish();
        break;
      case rowDescription:
        for (let left = reader.int16(); left > 0; left--) {
          this.#text(reader);
          reader.take(columnBytes);
        }
        reader.finish();
        break;
      case functionResponse:
        this.#value(reader);
        break;
      default:
        throw new PostgresError('postgres-unexpected-message', 'a message without text was given as one');
    }
    this.#scan(bytes);
    return this.#edits.empty ? null : this.#edits.apply(bytes, start, end);
  }

  #text(reader: BoundedReader): void {
    const { position } = reader;
    reader.cstringBytes();
    if (reader.position - 1 > position) this.#found.add(position, reader.position - 1, -1, 0);
  }

  #fields(reader: BoundedReader): void {
    for (;;) {
      const code = reader.uint8();
      if (code === 0) return reader.finish();
      if (codes.has(code)) reader.cstringBytes();
      else this.#text(reader);
    }
  }

  /** Text or binary, and of a type that is not told. */
  #value(reader: BoundedReader): void {
    const length = reader.int32();
    if (length >= 0) {
      const { position } = reader;
      reader.take(length);
      this.#edits.lengthAt = position - 4;
      if (length > 0) this.#found.add(position, position + length, -1, 0);
    } else if (length !== -1)
      throw new PostgresError('postgres-malformed-message', 'the target sent a value of impossible length');
    reader.finish();
  }

  #scan(bytes: Buffer): void {
    const values = this.#found;
    const { masking } = this.#values;
    if (values.count === 0 || !masking.detects) return;
    for (let i = 0; i < values.count; i++)
      this.#hidden.hexadecimal(bytes, values.starts[i]!, values.ends[i]!);
    const found = masking.scanValues(bytes, values.starts, values.ends, values.count);
    for (let i = 0; i < found.length; i++) {
      const range = { start: found.starts[i]!, end: found.ends[i]!, rule: found.rules[i]! };
      const instead = this.#values.finding(Form.text, bytes, range.start, range, false);
      if (instead !== null)
        this.#edits.replace(range.start, range.end, instead === 'null' ? Buffer.alloc(0) : instead);
    }
  }
}
