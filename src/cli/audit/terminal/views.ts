/** Where a channel is shown: a terminal, a pipe, or lines with their times. */
import { StringDecoder } from 'node:string_decoder';
import type { StreamView } from '../../../wire/audit.ts';
import { colour, visible } from '../../colour.ts';
import { TerminalGuard } from './guard.ts';
import type { ChannelView } from './player.ts';

/** Streams of this process; each write resolves when there is room for more. */
export interface Surface {
  output(bytes: Buffer | string): Promise<void>;
  errorOutput(bytes: Buffer | string): Promise<void>;
  /** Null: stdout is no terminal. */
  size(): { readonly columns: number; readonly rows: number } | null;
  /** A line for the person, on stderr. */
  note(line: string): void;
}

const isOutput = (
  item: StreamView,
): item is Extract<StreamView, { kind: 'input' | 'output' | 'error-output' }> =>
  item.kind === 'output' || item.kind === 'error-output';

/** The bytes as they were, for whoever reads the pipe. A terminal's channel is one stream, as its client saw it. */
export class RawView implements ChannelView {
  readonly #surface: Surface;
  #terminal = false;

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  shows = isOutput;

  async take(item: StreamView): Promise<void> {
    if (item.kind === 'opened') this.#terminal = item.term !== null;
    if (!isOutput(item)) return;
    const bytes = Buffer.from(item.bytes, 'base64');
    if (item.kind === 'output' || this.#terminal) await this.#surface.output(bytes);
    else await this.#surface.errorOutput(bytes);
  }

  reset = async (): Promise<void> => undefined;
}

/** A terminal's picture in this terminal. */
export class TerminalView implements ChannelView {
  readonly #surface: Surface;
  #guard = new TerminalGuard();
  #sizeTold = false;
  #last = lineFeed;

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  shows = isOutput;

  async take(item: StreamView): Promise<void> {
    if (item.kind === 'window') this.#window(item);
    if (!isOutput(item)) return;
    const bytes = this.#guard.filter(Buffer.from(item.bytes, 'base64'));
    if (bytes.length === 0) return;
    this.#last = bytes.at(-1)!;
    await this.#surface.output(bytes);
  }

  async reset(): Promise<void> {
    await this.#surface.output(`${this.restoring()}\x1b[H\x1b[2J`);
    this.#guard = new TerminalGuard();
  }

  restoring(): string {
    return this.#guard.restoring();
  }

  /** The terminal as it was, and the cursor at the beginning of a line. */
  ending(): string {
    return `${this.restoring()}${this.#last === lineFeed ? '' : '\r\n'}`;
  }

  #window({ columns, rows }: { readonly columns: number; readonly rows: number }): void {
    const here = this.#surface.size();
    if (this.#sizeTold || here === null || (here.columns === columns && here.rows === rows)) return;
    this.#sizeTold = true;
    this.#surface.note(
      `  recorded in a window of ${columns}×${rows}; this one has ${here.columns}×${here.rows}, and may show it otherwise`,
    );
  }
}

const lineFeed = 0x0a;

type LineStream = 'output' | 'error-output';
interface Line {
  readonly decoder: StringDecoder;
  text: string;
  atMs: number;
}
/** A line that does not end is shown in pieces. */
const longestLine = 4096;

/** Of a program without a terminal: lines of both its streams, in order, each with the time of its beginning. */
export class LinesView implements ChannelView {
  readonly #surface: Surface;
  readonly #lines: Readonly<Record<LineStream, Line>> = { output: newLine(), 'error-output': newLine() };

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  shows(item: StreamView): boolean {
    return isOutput(item) || item.kind === 'command' || item.kind === 'outcome';
  }

  async take(item: StreamView, atMs: number): Promise<void> {
    switch (item.kind) {
      case 'output':
      case 'error-output':
        await this.#add(item.kind, Buffer.from(item.bytes, 'base64'), atMs);
        return;
      case 'command':
        await this.#flush();
        await this.#print(atMs, `${colour.bold('=>')} ${escaped(item.text)}`);
        return;
      case 'outcome': {
        await this.#flush();
        const rest = [item.tag, item.errorCode === item.tag ? null : item.errorCode];
        await this.#print(
          atMs,
          colour.dim([item.outcome, ...rest.filter((text) => text !== null)].map(visible).join(' ')),
        );
        return;
      }
      default:
        return;
    }
  }

  async reset(): Promise<void> {
    for (const kind of ['output', 'error-output'] as const) Object.assign(this.#lines[kind], newLine());
    await this.#surface.output(colour.dim('-- back\n'));
  }

  async #add(kind: LineStream, bytes: Buffer, atMs: number): Promise<void> {
    const line = this.#lines[kind];
    // The other stream's unfinished line would stand behind what follows it.
    await this.#flush(kind === 'output' ? 'error-output' : 'output');
    if (line.text === '') line.atMs = atMs;
    const [first = '', ...rest] = line.decoder.write(bytes).split('\n');
    line.text += first;
    for (const next of rest) {
      await this.#line(kind, line.text);
      line.text = next;
      line.atMs = atMs;
    }
    if (line.text.length > longestLine) await this.#flush(kind);
  }

  async #flush(only?: LineStream): Promise<void> {
    for (const kind of ['output', 'error-output'] as const) {
      const line = this.#lines[kind];
      if (line.text === '' || (only !== undefined && only !== kind)) continue;
      await this.#line(kind, line.text);
      line.text = '';
    }
  }

  #line(kind: LineStream, text: string): Promise<void> {
    const shown = escaped(text.replace(/\r$/, ''));
    return this.#print(this.#lines[kind].atMs, kind === 'output' ? shown : colour.red(shown));
  }

  #print(atMs: number, text: string): Promise<void> {
    return this.#surface.output(`${colour.dim((atMs / 1000).toFixed(3).padStart(9))}  ${text}\n`);
  }
}

const newLine = (): Line => ({ decoder: new StringDecoder('utf8'), text: '', atMs: 0 });
const escaped = (text: string): string => visible(text.replaceAll('\t', '  '));
