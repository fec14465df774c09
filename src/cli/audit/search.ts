/** `hoop audit search`: what was found, for people and for programs, and how far it is. */
import { colour, visible } from '../colour.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { nameOf } from '../person.ts';
import type { SearchView } from '../../wire/search.ts';

type Match = Extract<SearchView, { kind: 'match' }>;
type Counts = Extract<SearchView, { kind: 'progress' | 'end' }>;

/** What the person typed: `/pattern/` and `/pattern/i` are patterns, all else means itself. */
export function parsePatternArgument(text: string): {
  readonly text: string;
  readonly regex: boolean;
  readonly ignoreCase: boolean;
} {
  const match = /^\/(.+)\/(i?)$/s.exec(text);
  if (match === null) return { text, regex: false, ignoreCase: false };
  return { text: match[1]!.replaceAll('\\/', '/'), regex: true, ignoreCase: match[2] === 'i' };
}

/** Finds under the session that they are of. */
export class FoundText {
  #session: string | null = null;
  readonly #context: boolean;

  /** @param context lines around a match are shown: finds stand apart */
  constructor(context: boolean) {
    this.#context = context;
  }

  take(match: Match): string {
    const lines: string[] = [];
    if (match.session !== this.#session) {
      if (this.#session !== null) lines.push('');
      const about = [match.target, nameOf(match.principal), ...(match.task === null ? [] : [match.task])];
      lines.push(`${colour.bold(match.session)}  ${about.map(visible).join('  ')}`);
    } else if (this.#context) lines.push(colour.dim('  --'));
    this.#session = match.session;
    const where = `${match.time}  ${match.connection}:${match.command} ${match.where}`;
    for (const line of match.before) lines.push(colour.dim(`    ${shown(line)}`));
    lines.push(`  ${colour.dim(where)}  ${highlighted(match.line)}`);
    for (const line of match.after) lines.push(colour.dim(`    ${shown(line)}`));
    return `${lines.join('\n')}\n`;
  }
}

const highlighted = (pieces: readonly string[]): string =>
  pieces.map((piece, index) => (index % 2 === 1 ? colour.red.bold(shown(piece)) : shown(piece))).join('');

/** Tabs between values stay readable. */
const shown = (text: string): string => text.split('\t').map(visible).join('  ');

/** How far it is, on the terminal of whoever waits; nothing where there is none. */
class ProgressLine {
  readonly #startedMs = performance.now();
  #shown = false;

  show(counts: Counts): void {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\x1b[K  ${progressText(counts, performance.now() - this.#startedMs)}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = false;
  }

  ended({ matches, complete, ...counts }: Extract<SearchView, { kind: 'end' }>): string {
    const lines = `${matches} ${matches === 1 ? 'line' : 'lines'} in ${counts.sessions} of ${counts.ofSessions} sessions`;
    const more = complete ? '' : '; there may be more: raise --limit, or narrow it down';
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return `  ${lines}, ${megabytes(counts.rawBytes)} in ${seconds.toFixed(1)} s${more}`;
  }
}

/** `searched 12 MB of 1.4 GB, 210 MB/s, 7 s left`. */
export function progressText({ rawBytes, ofRawBytes }: Counts, elapsedMs: number): string {
  const perMs = rawBytes / Math.max(1, elapsedMs);
  const done = `searched ${megabytes(rawBytes)} of ${megabytes(ofRawBytes)}, ${megabytes(perMs * 1000)}/s`;
  // Segments that are still open are not in the log's sum.
  if (rawBytes === 0 || rawBytes >= ofRawBytes) return done;
  return `${done}, ${Math.ceil((ofRawBytes - rawBytes) / perMs / 1000)} s left`;
}

const megabytes = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

export interface SearchOutput {
  readonly json: boolean;
  /** Lines around a match are shown. */
  readonly context: boolean;
  /** A piece of the result. */
  readonly write: (text: string) => Promise<void>;
  /** What is not the result. */
  readonly note: (line: string) => void;
}

/**
 * Shows what comes.
 * @returns the exit code
 * @throws what `items` throws, unless `signal` aborted
 */
export async function showSearch(
  items: AsyncIterable<SearchView>,
  { json, context, write, note }: SearchOutput,
  signal: AbortSignal,
): Promise<ExitCode> {
  const text = new FoundText(context);
  const progress = new ProgressLine();
  let [found, unreadable] = [0, 0];
  try {
    for await (const item of items) {
      if (item.kind === 'progress') {
        progress.show(item);
        continue;
      }
      progress.clear();
      if (json) await write(`${JSON.stringify(item)}\n`);
      else if (item.kind === 'match') await write(text.take(item));
      if (item.kind === 'match') found++;
      else if (item.kind === 'end') note(progress.ended(item));
      else {
        if (item.kind === 'unreadable') unreadable++;
        note(notSearched(item));
      }
    }
  } catch (error) {
    progress.clear();
    if (!signal.aborted) throw error;
    return exitCodes.interrupted;
  }
  if (unreadable > 0) return exitCodes.bug;
  return found > 0 ? exitCodes.done : exitCodes.nothingFound;
}

const notSearched = (item: Extract<SearchView, { kind: 'missing' | 'unreadable' }>): string =>
  item.kind === 'missing'
    ? `  ${item.session}: ${item.segments} recorded segments are not there (erased, or lost: hoop audit verify says which)`
    : `  ${item.session}: the rest of the recording cannot be read (${item.code}); hoop audit verify says what is wrong`;
