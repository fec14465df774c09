/**
 * The old scp protocol (`scp -O`, rcp) of one channel, between a client and a target: who sends files writes a line for each, waits
 * for a zero byte, writes the file's bytes and a zero byte, and waits again; a byte 1 (or 2, for the last time) and a line of
 * text in place of a zero byte is an error. Both ends are held to their turns, so that nothing is passed that was not decided.
 *
 * Each file and directory is a command of its own, decided when its line comes, before a byte of it has passed: `put PATH`,
 * `mkdir PATH` where the target receives; `get PATH`, `list PATH` where it sends. What is denied is answered with the protocol's
 * own error line, and the sender goes on with its next file. What a file holds is neither recorded nor masked: see `../sftp/`.
 */
import type { ConnectionGate, FinalVerdict } from '../../../gate/gate.ts';
import type { OutcomeKind } from '../../../model/outcome.ts';
import { FileFacts, fileEffects } from '../files/file-facts.ts';
import type { FileEffects } from '../files/file-facts.ts';
import { commandText, quotedPath } from '../files/file-text.ts';
import { denialText, HeldFiles } from '../files/held-files.ts';
import { EarlyBytes, TransferredBytes } from '../files/transferred-bytes.ts';
import { ScpError } from './error.ts';
import type { ScpInvocation } from './invocation.ts';
import { decodeLine, encodeError, longestLineBytes } from './lines.ts';
import type { ScpLine } from './lines.ts';
import { Places } from './places.ts';
import type { Place } from './places.ts';

export interface ScpExchangeOptions {
  readonly gate: ConnectionGate;
  readonly invocation: ScpInvocation;
  /** The login's directory at the target, where relative paths begin; null: not known. */
  readonly home?: string | null;
  /** The session's, so that equal facts are one object in all of its channels. */
  readonly facts?: FileFacts;
  /** Take what may go when it is recorded, in order; the bytes are lent. */
  readonly toTarget: (bytes: Buffer) => void;
  readonly toClient: (bytes: Buffer) => void;
  /** Takes a line for the person, without its end. */
  readonly tell?: (line: string) => void;
  /** As SftpExchangeOptions.awake. */
  readonly awake: (work: () => void) => void;
}

/** Whose turn it is, and for what. `held`: nobody's, people are asked. */
type Turn = 'answer' | 'answer-text' | 'line' | 'data' | 'end-of-data' | 'error-text' | 'held' | 'over';

/** A file or directory whose line has passed. */
interface Entry {
  readonly command: number;
  readonly line: ScpLine & { readonly kind: 'file' | 'directory' };
  readonly place: Place;
}

const zero = 0;
const fatal = 2;
const newline = 0x0a;
const deepest = 256;
const noEarlyBytes = new EarlyBytes(0);
const cancelled = { kind: 'cancelled', rows: 0, errorCode: 'SCP_CONNECTION_LOST' } as const;

export class ScpExchange {
  readonly #options: ScpExchangeOptions;
  readonly #held: HeldFiles;
  readonly #facts: FileFacts;
  readonly #places: Places;
  readonly #toReceiver: (bytes: Buffer) => void;
  readonly #toSender: (bytes: Buffer) => void;
  #turn: Turn = 'answer';
  /** Of a line, or of an error's text, that did not come whole. */
  readonly #line = Buffer.alloc(longestLineBytes);
  #lineBytes = 0;
  #entry: Entry | null = null;
  #transferred: TransferredBytes | null = null;
  /** Bytes of the file that are still to come. */
  #missing = 0;
  /** The sender said that its file is not whole. */
  #senderFailed = false;
  #answer = zero;
  #settled = false;

  constructor(options: ScpExchangeOptions) {
    this.#options = options;
    this.#facts = options.facts ?? new FileFacts();
    this.#places = new Places(options.invocation, options.home ?? null);
    const [toTarget, toClient] = [options.toTarget, options.toClient];
    const up = options.invocation.direction === 'to';
    this.#toReceiver = up ? toTarget : toClient;
    this.#toSender = up ? toClient : toTarget;
    const tell = options.tell ?? (() => undefined);
    const awake = (work: () => void): void => {
      if (this.#turn !== 'over') options.awake(() => this.#guarded(work));
    };
    this.#held = new HeldFiles({ gate: options.gate, awake, tell });
  }

  /** Nobody need be made to wait: the protocol itself goes in turns. */
  get blocked(): boolean {
    return false;
  }

  /** Takes what the client sent; lent. What is thrown ends the channel. @throws ScpError */
  fromClient(chunk: Buffer): void {
    this.#from(chunk, this.#options.invocation.direction === 'to');
  }

  /** Takes what the target sent; lent. What is thrown ends the channel. @throws ScpError */
  fromTarget(chunk: Buffer): void {
    this.#from(chunk, this.#options.invocation.direction === 'from');
  }

  /** The channel is over: what is under way is cancelled, what people were asked for is withdrawn. Idempotent. */
  ended(why: 'disconnected' | 'session-ended' = 'disconnected'): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#turn = 'over';
    this.#held.leave(why);
    if (this.#entry === null) return;
    const tag = this.#transferred?.summary() ?? null;
    this.#options.gate.outcome(this.#entry.command, { ...cancelled, tag });
  }

  #from(chunk: Buffer, sender: boolean): void {
    this.#guarded(() => {
      if (sender) this.#fromSender(chunk);
      else this.#fromReceiver(chunk);
    });
  }

  #guarded(work: () => void): void {
    if (this.#turn === 'over') return;
    try {
      work();
    } catch (error) {
      this.#turn = 'over';
      throw error;
    }
  }

  // ---- who sends files ----

  #fromSender(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#turn === 'data') position = this.#data(chunk, position);
      else if (this.#turn === 'end-of-data') position = this.#endOfData(chunk, position);
      else if (this.#turn === 'line') position = this.#lineOf(chunk, position);
      else if (this.#turn === 'error-text') position = this.#errorText(chunk, position);
      else if (this.#turn === 'over') return;
      else throw new ScpError('scp-out-of-turn', 'the sender of files did not wait for an answer');
    }
  }

  #data(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#missing);
    this.#missing -= end - from;
    this.#transferred!.add(chunk, from, end);
    this.#toReceiver(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end));
    if (this.#missing === 0) this.#turn = 'end-of-data';
    return end;
  }

  /** A zero byte, or an error and its text. */
  #endOfData(chunk: Buffer, at: number): number {
    if (chunk[at]! > fatal) throw new ScpError('scp-malformed-line', 'a file is longer than was said');
    this.#senderFailed = chunk[at] !== zero;
    this.#toReceiver(chunk.subarray(at, at + 1));
    this.#turn = this.#senderFailed ? 'error-text' : 'answer';
    return at + 1;
  }

  /** Text of the sender's own, in the place of a line or after a file; the receiver answers only the latter. */
  #errorText(chunk: Buffer, from: number): number {
    const end = this.#gather(chunk, from);
    if (end === -1) return chunk.length;
    this.#toReceiver(this.#taken());
    this.#turn = this.#entry === null ? 'line' : 'answer';
    return end;
  }

  #lineOf(chunk: Buffer, from: number): number {
    if (this.#lineBytes === 0 && chunk[from]! <= fatal) {
      if (chunk[from] === zero) throw new ScpError('scp-malformed-line', 'a line begins with a zero byte');
      this.#toReceiver(chunk.subarray(from, from + 1));
      this.#turn = 'error-text';
      return from + 1;
    }
    const end = this.#gather(chunk, from);
    if (end === -1) return chunk.length;
    const bytes = Buffer.from(this.#taken());
    const line = decodeLine(bytes);
    if (line.kind === 'file' || line.kind === 'directory') this.#decide({ ...line, kind: line.kind }, bytes);
    else {
      if (line.kind === 'end' && this.#places.depth === 0)
        throw new ScpError('scp-malformed-line', 'the end of a directory that was not begun');
      if (line.kind === 'end') this.#places.leave();
      this.#pass(bytes);
    }
    return end;
  }

  #pass(line: Buffer): void {
    this.#toReceiver(line);
    this.#turn = 'answer';
  }

  // ---- deciding ----

  #decide(line: Entry['line'], bytes: Buffer): void {
    const { gate, invocation } = this.#options;
    if (line.kind === 'directory' && (!invocation.recursive || this.#places.depth >= deepest))
      throw new ScpError('scp-malformed-line', 'a directory that was not asked for');
    const place = this.#places.of(line.name.toString('latin1'));
    const paths = place.paths.map((path) => Buffer.from(path, 'latin1'));
    const text = this.#textOf(line, paths);
    const facts = this.#facts.of(
      effectsOf(line, invocation),
      paths.map(String),
      line.kind === 'directory',
      place.unclear,
    );
    const command = gate.nextCommand();
    const entry: Entry = { command, line, place };
    const verdict = gate.command(command, text, null, facts);
    if (verdict.kind === 'allow') this.#allowed(entry, bytes);
    else if (verdict.kind === 'deny') this.#denied(entry, text, verdict, null);
    else {
      this.#turn = 'held';
      const decided = (final: FinalVerdict, review: string | null): void => {
        if (final.kind === 'deny') this.#denied(entry, text, final, review);
        else this.#allowed(entry, bytes);
      };
      this.#held.add({ command, text, parameters: null, facts, decided });
    }
  }

  /** `put /tmp or /tmp/a`: where it goes, only the target knows. */
  #textOf({ kind }: Entry['line'], paths: readonly Buffer[]): Buffer {
    const up = this.#options.invocation.direction === 'to';
    const verb = kind === 'file' ? (up ? 'put' : 'get') : up ? 'mkdir' : 'list';
    const words: Buffer[] = [];
    for (const path of paths) {
      if (words.length > 0) words.push(Buffer.from('or'));
      words.push(quotedPath(path));
    }
    return commandText(verb, ...words);
  }

  #allowed(entry: Entry, bytes: Buffer): void {
    this.#entry = entry;
    this.#pass(bytes);
  }

  /** The sender hears it in the place of an answer; a client that receives hears it in the place of the file. */
  #denied(
    { command }: Entry,
    text: Buffer,
    verdict: FinalVerdict & { kind: 'deny' },
    review: string | null,
  ): void {
    const { gate, invocation } = this.#options;
    const why = `${text.toString()}: ${denialText(verdict, review)}`;
    gate.outcome(command, { kind: 'blocked', tag: null, rows: 0, errorCode: 'SCP_ERROR' });
    this.#toSender(encodeError(why));
    if (invocation.direction === 'from') this.#toReceiver(encodeError(why));
    this.#turn = 'line';
  }

  // ---- who receives files ----

  #fromReceiver(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#turn === 'over') return;
      if (this.#turn === 'answer-text') {
        const end = this.#gather(chunk, position);
        if (end === -1) return;
        this.#toSender(this.#taken());
        position = end;
        this.#answered();
        continue;
      }
      const answer = chunk[position]!;
      if (this.#turn !== 'answer') throw new ScpError('scp-out-of-turn', 'an answer to nothing');
      if (answer > fatal) throw new ScpError('scp-malformed-line', 'an answer that is none');
      this.#answer = answer;
      this.#toSender(chunk.subarray(position, position + 1));
      position++;
      if (answer === zero) this.#answered();
      else this.#turn = 'answer-text';
    }
  }

  /** The receiver has spoken: to a line, or to a whole file. */
  #answered(): void {
    const entry = this.#entry;
    this.#turn = 'line';
    if (entry === null) return;
    if (this.#transferred !== null || this.#answer !== zero) {
      this.#finish();
      return;
    }
    if (entry.line.kind === 'directory') {
      this.#places.enter(entry.place);
      this.#finish();
      return;
    }
    this.#transferred = new TransferredBytes(noEarlyBytes);
    this.#transferred.begin(0, entry.line.size);
    this.#missing = entry.line.size;
    this.#turn = this.#missing === 0 ? 'end-of-data' : 'data';
  }

  #finish(): void {
    const { command } = this.#entry!;
    const failed = this.#answer !== zero || this.#senderFailed;
    const kind: OutcomeKind = failed ? 'failed' : 'succeeded';
    const tag = this.#transferred?.summary() ?? null;
    const errorCode = failed ? (this.#answer === fatal ? 'SCP_FATAL' : 'SCP_ERROR') : null;
    this.#options.gate.outcome(command, { kind, tag, rows: 0, errorCode });
    this.#entry = null;
    this.#transferred = null;
    this.#senderFailed = false;
    this.#answer = zero;
  }

  // ---- lines ----

  /** Adds to the line at hand; returns where it ended, or -1. @throws ScpError when it is too long */
  #gather(chunk: Buffer, from: number): number {
    const at = chunk.indexOf(newline, from);
    const end = at === -1 ? chunk.length : at + 1;
    if (this.#lineBytes + end - from > longestLineBytes)
      throw new ScpError('scp-malformed-line', `a line is longer than ${longestLineBytes} bytes`);
    chunk.copy(this.#line, this.#lineBytes, from, end);
    this.#lineBytes += end - from;
    return at === -1 ? -1 : end;
  }

  /** The whole line; a view, valid until the next one begins. */
  #taken(): Buffer {
    const taken = this.#line.subarray(0, this.#lineBytes);
    this.#lineBytes = 0;
    return taken;
  }
}

/** `T` alone may change nothing; special bits of a mode do. */
function effectsOf({ mode }: Entry['line'], { direction }: ScpInvocation): FileEffects {
  if (direction === 'from') return fileEffects.read;
  return (mode & 0o7000) === 0 ? fileEffects.write : fileEffects.privilege;
}
