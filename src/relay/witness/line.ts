/**
 * The way to one witness: the newest checkpoint goes there, its cosignature comes back, is verified, and is kept beside the
 * log (evidence/log/witnessed.ts). One request at a time, always for the newest checkpoint; what was published meanwhile is
 * covered by it. Nothing waits for a witness.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { EvidenceError } from '../../evidence/error.ts';
import { parseCheckpoint, type Checkpoint } from '../../evidence/log/checkpoint.ts';
import type { Log } from '../../evidence/log/log.ts';
import { formatNote, parseNote, type Note } from '../../evidence/log/note.ts';
import { overTiles } from '../../evidence/log/proofs.ts';
import { consistencyProof, type Hash } from '../../evidence/log/tlog.ts';
import { readCosigned, witnessedPath } from '../../evidence/log/witnessed.ts';
import { durableFiles, replaceFile } from '../../system/durable-file.ts';
import type { WitnessConfig } from '../config/log-schema.ts';
import { WitnessError } from './error.ts';
import { postCheckpoint } from './post.ts';

export interface LineOptions {
  /** The log's directory. */
  readonly directory: string;
  readonly log: Pick<Log, 'checkpointOnDisk' | 'addCosignatures'>;
  /** A request failed; `lagMs` is how long the witness has been behind. */
  readonly onFailure: (witness: string, error: unknown, lagMs: number) => void;
  /** It is up to date again after failures. */
  readonly onRecovered: (witness: string) => void;
  /** First pause after a failure; doubled each time. */
  readonly retryMs: number;
}

const longestPauseMs = 60_000;
/** Between requests that succeed: several publications share one. */
const betweenMs = 500;
/** A witness that says another size each time is not followed for ever. */
const attemptsPerCheckpoint = 4;

export class WitnessLine {
  readonly #witness: WitnessConfig;
  readonly #options: LineOptions;
  readonly #stop = new AbortController();
  #running = false;
  #done = '';
  #size: number | null = null;
  #streak = 0;
  #behindSinceMs: number | null = null;
  failures = 0;

  constructor(witness: WitnessConfig, options: LineOptions) {
    this.#witness = witness;
    this.#options = options;
  }

  get name(): string {
    return this.#witness.name;
  }

  /** Entries of the last checkpoint that it cosigned. */
  get size(): number {
    return this.#size ?? 0;
  }

  get lagMs(): number {
    return this.#behindSinceMs === null ? 0 : performance.now() - this.#behindSinceMs;
  }

  /** There is a new checkpoint. */
  wake(): void {
    this.#behindSinceMs ??= performance.now();
    if (!this.#running) void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  /** Until the newest checkpoint is cosigned. Never rejects. */
  async #run(): Promise<void> {
    this.#running = true;
    while (!this.#stop.signal.aborted) {
      const note = newest(this.#options.log.checkpointOnDisk.note);
      const signed = formatNote(note);
      if (signed === this.#done) break;
      try {
        this.#size ??= await this.#remembered();
        await this.#cosign(note, signed);
        this.#done = signed;
        if (this.#streak > 0) this.#options.onRecovered(this.name);
        this.#streak = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.failures += 1;
        this.#options.onFailure(this.name, error, this.lagMs);
        this.#streak += 1;
      }
      const { retryMs } = this.#options;
      await this.#pause(
        this.#streak === 0 ? betweenMs : Math.min(longestPauseMs, retryMs * 2 ** (this.#streak - 1)),
      );
    }
    this.#behindSinceMs = null;
    this.#running = false;
  }

  async #cosign(note: Note, signed: string): Promise<void> {
    const checkpoint = parseCheckpoint(note.text);
    let old = this.#size!;
    for (let attempt = 0; attempt < attemptsPerCheckpoint; attempt++) {
      const proof = await this.#proof(old, checkpoint);
      const body = { old, proof, checkpoint: Buffer.from(signed) };
      const answer = await postCheckpoint(this.#witness.url, body, this.#stop.signal);
      if (answer.kind === 'cosigned') return this.#keep(note, answer.lines);
      old = answer.size;
    }
    throw new WitnessError('witness-refused', 'the witness says another size each time');
  }

  async #proof(old: number, { size }: Checkpoint): Promise<Hash[]> {
    if (old > size)
      throw new WitnessError(
        'witness-contradicts',
        `the witness saw ${old} entries, and the log has ${size}`,
        {
          hint: 'was the log restored from an older copy, or is another relay writing under its name?',
        },
      );
    const read = (name: string) => durableFiles.read(path.join(this.#options.directory, name));
    return overTiles(size, read, (nodes) => consistencyProof(old, size, nodes));
  }

  /** One line of its own, and only if its key verifies it. */
  async #keep(note: Note, lines: string): Promise<void> {
    const { verifier } = this.#witness;
    const { signatures } = parseNote(Buffer.from(`${note.text}\n${lines}`));
    // One is enough: many would make the note longer than a note may be.
    const valid = signatures.find((line) => verifier.check(note.text, line) !== null);
    if (valid === undefined)
      throw new WitnessError(
        'witness-refused',
        'the witness answered without a valid cosignature of its key',
      );
    const { directory, log } = this.#options;
    const file = path.join(directory, witnessedPath(verifier.toString()));
    await durableFiles.makeDirectory(path.dirname(file));
    await durableFiles.syncDirectory(directory);
    const cosigned = formatNote({ text: note.text, signatures: [...note.signatures, valid] });
    await replaceFile(durableFiles, file, Buffer.from(cosigned));
    await durableFiles.syncDirectory(path.dirname(file));
    this.#size = parseCheckpoint(note.text).size;
    await log.addCosignatures(note.text, [valid]);
  }

  /** Of the run before. What it says wrong is corrected by the witness. */
  async #remembered(): Promise<number> {
    const { verifier } = this.#witness;
    try {
      const bytes = await readFile(path.join(this.#options.directory, witnessedPath(verifier.toString())));
      return readCosigned(bytes, verifier)?.checkpoint.size ?? 0;
    } catch (error) {
      if (hasErrno(error, 'ENOENT') || error instanceof EvidenceError) return 0;
      throw error;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms).unref();
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

/** The checkpoint as the log signed it, without what witnesses added. */
function newest(signed: string): Note {
  const { text, signatures } = parseNote(Buffer.from(signed));
  const origin = text.slice(0, text.indexOf('\n'));
  return { text, signatures: signatures.filter(({ name }) => name === origin) };
}
