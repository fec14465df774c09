/**
 * A channel as an asciicast, version 2 (https://docs.asciinema.org/manual/asciicast/v2/): a line of JSON for what it is, then
 * one for each event, with its second. Streamed. Events are text: characters that are cut between pieces are put together,
 * what is no UTF-8 is U+FFFD.
 */
import { StringDecoder } from 'node:string_decoder';
import type { StreamView } from '../../../wire/audit.ts';

export interface CastHeader {
  readonly title: string;
  /** When the channel was opened. */
  readonly openedAtMs: number;
  /** Null: it had no terminal. */
  readonly term: string | null;
  readonly columns: number | null;
  readonly rows: number | null;
  /** Players cut longer pauses to this; 0: they do not. */
  readonly maxIdleMs: number;
}

const codes = { output: 'o', 'error-output': 'o', input: 'i' } as const;
/** A program without a terminal wrote for none, and some clients have terminals of no size; players need some. */
const smallest = 2;
const otherwise = { columns: 80, rows: 24 };

export async function* asciicast(
  header: CastHeader,
  items: AsyncIterable<StreamView>,
): AsyncGenerator<string> {
  const { term, title, openedAtMs, maxIdleMs } = header;
  let [width, height] = [header.columns ?? 0, header.rows ?? 0];
  if (width < smallest || height < smallest) [width, height] = [otherwise.columns, otherwise.rows];
  yield line({
    version: 2,
    width,
    height,
    timestamp: Math.floor(openedAtMs / 1000),
    ...(maxIdleMs > 0 && { idle_time_limit: maxIdleMs / 1000 }),
    title,
    ...(term !== null && { env: { TERM: term } }),
  });
  const texts = new EventTexts(term !== null);
  let [began, seconds]: [number | null, number] = [null, 0];
  for await (const item of items) {
    began ??= item.micros;
    seconds = Math.max(seconds, (item.micros - began) / 1e6);
    if (item.kind === 'window') {
      // The first one is the header's.
      if (Math.min(item.columns, item.rows) < smallest) continue;
      if (item.columns !== width || item.rows !== height)
        yield line([seconds, 'r', `${item.columns}x${item.rows}`]);
      [width, height] = [item.columns, item.rows];
    } else if ('bytes' in item) {
      const text = texts.add(item.kind, Buffer.from(item.bytes, 'base64'));
      if (text !== '') yield line([seconds, codes[item.kind], text]);
    }
  }
  for (const [code, text] of texts.rest()) yield line([seconds, code, text]);
}

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

class EventTexts {
  readonly #terminal: boolean;
  readonly #decoders = {
    input: new StringDecoder('utf8'),
    output: new StringDecoder('utf8'),
    'error-output': new StringDecoder('utf8'),
  };
  #last = '';

  constructor(terminal: boolean) {
    this.#terminal = terminal;
  }

  add(kind: keyof typeof codes, bytes: Buffer): string {
    const text = this.#decoders[kind].write(bytes);
    return kind === 'input' ? text : this.#forTerminal(text);
  }

  *rest(): Generator<[string, string]> {
    for (const kind of ['input', 'output', 'error-output'] as const) {
      const text = this.#decoders[kind].end();
      if (text !== '') yield [codes[kind], text];
    }
  }

  /** Where there was no terminal, none added the returns that a player's terminal needs. */
  #forTerminal(text: string): string {
    if (this.#terminal || text === '') return text;
    const returned = this.#last === '\r' && text.startsWith('\n');
    this.#last = text.at(-1)!;
    const shown = text.replaceAll(/(?<!\r)\n/g, '\r\n');
    return returned ? shown.slice(1) : shown;
  }
}
