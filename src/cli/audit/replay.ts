/** A session shown again as text: what was typed, and what came back, results as tables. */
import { colour, visible } from '../colour.ts';
import { formatTable } from '../table.ts';
import type { TranscriptView } from '../../wire/audit.ts';

/** Turns a transcript into text. Rows wait for their result to end, at most `rowsAtOnce` of them. */
export class TranscriptText {
  readonly #width: number | null;
  readonly #results = new Map<
    number,
    { names: readonly string[]; rows: (readonly (string | null)[])[]; begun: boolean }
  >();
  /** Masked values by rule, of the command that runs on each connection. */
  readonly #masked = new Map<number, Map<string, number>>();
  /** Channels of servers' sessions that have a terminal. */
  readonly #terminals = new Set<number>();
  /** What was printed last did not end its line. */
  #unfinished = false;
  #connections = 0;

  /** @param width of the terminal; null: tables are tab-separated */
  constructor(width: number | null) {
    this.#width = width;
  }

  /** What to print for this item; may be nothing yet. */
  take(item: TranscriptView): string {
    const text = this.#take(item);
    if (text === '') return '';
    const end = this.#unfinished && item.kind !== 'text' ? '\n' : '';
    this.#unfinished = !text.endsWith('\n');
    return `${end}${text}`;
  }

  #take(item: TranscriptView): string {
    switch (item.kind) {
      case 'columns':
        return this.#endResult(item.connection) + this.#beginResult(item.connection, item.names);
      case 'row':
        return this.#row(item.connection, item.values);
      case 'masked':
        this.#count(item);
        return '';
      default:
        return this.#endResult(item.connection) + this.#line(item);
    }
  }

  #line(item: Exclude<TranscriptView, { kind: 'columns' | 'row' | 'masked' }>): string {
    const mark = this.#connections > 1 || item.connection > 1 ? colour.dim(`[${item.connection}] `) : '';
    switch (item.kind) {
      case 'connected':
        this.#connections++;
        if (item.parameters['term'] !== undefined) this.#terminals.add(item.connection);
        return colour.dim(`-- connection ${item.connection}: ${shownParameters(item.parameters)}\n`);
      case 'disconnected':
        return colour.dim(`-- connection ${item.connection} closed: ${visible(item.reason)}\n`);
      case 'command':
        return `${mark}${item.origin === null ? '' : '  '}${colour.bold('=>')} ${multiline(item.text)}${bound(item.parameters)}${known(item.origin)}\n`;
      case 'complete':
        return `${mark}${visible(item.tag)}\n`;
      case 'error':
      case 'notice':
        return `${mark}${said(item)}`;
      case 'notification':
        return `${mark}notification on ${visible(item.channel)}: ${visible(item.payload)}\n`;
      case 'text':
        return this.#text(item);
      case 'window':
        return colour.dim(`-- connection ${item.connection}: ${item.columns}×${item.rows}\n`);
      case 'copy-in':
      case 'copy-out':
        return multiline(item.data);
      case 'outcome':
        return item.outcome === 'succeeded' || item.outcome === 'failed'
          ? this.#maskedLine(item.connection, mark)
          : `${mark}${colour.red(visible(item.outcome))} ${visible(item.errorCode ?? '')}\n${this.#maskedLine(item.connection, mark)}`;
      case 'unreadable':
        return colour.red(`-- connection ${item.connection}: what follows cannot be shown\n`);
      default:
        return item satisfies never;
    }
  }

  /** What is typed into a terminal comes back from it, as far as it should be seen. */
  #text({ connection, stream, data }: Extract<TranscriptView, { kind: 'text' }>): string {
    if (stream === 'input' && this.#terminals.has(connection)) return '';
    return stream === 'error-output' ? colour.red(multiline(data)) : multiline(data);
  }

  #count({ connection, places }: Extract<TranscriptView, { kind: 'masked' }>): void {
    const counts = this.#masked.get(connection) ?? new Map<string, number>();
    this.#masked.set(connection, counts);
    for (const { rule } of places) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  }

  /** What was masked until now, once. */
  #maskedLine(connection: number, mark: string): string {
    const counts = this.#masked.get(connection);
    this.#masked.delete(connection);
    if (counts === undefined) return '';
    const said = [...counts].map(([rule, count]) => `${count} ${visible(rule)}`).join(', ');
    return `${mark}${colour.dim(`masked: ${said}`)}\n`;
  }

  #beginResult(connection: number, names: readonly string[]): string {
    // Heads of tables are taken as they are; these came from a target.
    this.#results.set(connection, { names: names.map(visible), rows: [], begun: false });
    return '';
  }

  #row(connection: number, values: readonly (string | null)[]): string {
    const result = this.#results.get(connection);
    if (result === undefined) return '';
    result.rows.push(values);
    return result.rows.length >= rowsAtOnce ? this.#print(connection) : '';
  }

  #endResult(connection: number): string {
    const text = this.#print(connection);
    this.#results.delete(connection);
    return text;
  }

  /** The rows that wait; the heads only once. */
  #print(connection: number): string {
    const result = this.#results.get(connection);
    if (result === undefined || (result.begun && result.rows.length === 0)) return '';
    const text = formatTable(result.names, result.rows, { width: this.#width });
    result.rows = [];
    if (!result.begun) {
      result.begun = true;
      return text;
    }
    return text.slice(text.indexOf('\n') + 1);
  }
}

const rowsAtOnce = 500;

/** Line breaks stay; other control characters do not. */
const multiline = (text: string): string =>
  text
    .split(/(\r?\n)/)
    .map((part) => (/^\r?\n$/.test(part) ? '\n' : visible(part.replaceAll('\t', '  '))))
    .join('');

const bound = (parameters: readonly (string | null)[] | null): string =>
  parameters === null || parameters.length === 0 ? '' : colour.dim(` ${visible(JSON.stringify(parameters))}`);

const known = (origin: { readonly how: string } | null): string =>
  origin?.how === 'reconstructed' ? colour.dim(' (reconstructed)') : '';

const shownParameters = (parameters: Readonly<Record<string, string>>): string =>
  visible(
    Object.entries(parameters)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
  );

function said(item: Extract<TranscriptView, { kind: 'error' | 'notice' }>): string {
  const paint = item.kind === 'error' ? colour.red : colour.yellow;
  const lines = [paint(`${visible(item.severity)} ${visible(item.code)}: ${visible(item.message)}`)];
  if (item.detail !== null) lines.push(`  detail: ${visible(item.detail)}`);
  if (item.hint !== null) lines.push(`  hint: ${visible(item.hint)}`);
  return `${lines.join('\n')}\n`;
}
