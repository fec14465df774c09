/** Keys of whoever watches a replay: the terminal in raw mode, and back whatever happens. */
import type { ReadStream } from 'node:tty';
import type { PlayerKey } from './player.ts';

const keys: Readonly<Record<string, PlayerKey>> = {
  ' ': 'pause',
  '.': 'step',
  '\x1b[C': 'forward',
  '\x1bOC': 'forward',
  '\x1b[D': 'back',
  '\x1bOD': 'back',
  '+': 'faster',
  '=': 'faster',
  '-': 'slower',
  _: 'slower',
  q: 'quit',
  '\x03': 'quit',
  '\x04': 'quit',
};

/** One key, or an answer of the terminal, which is none. */
const escape = '\x1b';
const sequences = new RegExp(`${escape}\\[[0-?]*[ -/]*[@-~]|${escape}O[^]|[^]`, 'g');
const cut = new RegExp(`${escape}(\\[[0-?]*[ -/]*|O)?$`);

/** Finds keys in what a terminal sends, however it is cut. */
export class KeyReader {
  #pending = '';

  *read(text: string): Generator<PlayerKey> {
    const given = this.#pending + text;
    // Not more than a sequence can be: what never ends is none.
    this.#pending = (cut.exec(given)?.[0] ?? '').slice(0, 32);
    for (const [sequence] of given.slice(0, given.length - this.#pending.length).matchAll(sequences)) {
      const key = Object.hasOwn(keys, sequence) ? keys[sequence] : undefined;
      if (key !== undefined) yield key;
    }
  }
}

/** Calls `press` for each key until the returned function is called. Null where nobody types. */
export function listen(stdin: ReadStream, press: (key: PlayerKey) => void): (() => void) | null {
  if (!stdin.isTTY) return null;
  const reader = new KeyReader();
  const take = (text: Buffer | string): void => {
    for (const key of reader.read(typeof text === 'string' ? text : text.toString('latin1'))) press(key);
  };
  stdin.setRawMode(true);
  stdin.on('data', take);
  stdin.resume();
  return () => {
    stdin.off('data', take);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
