/** What the tests of file transfers share: a gate that also answers questions, and the two ends of an exchange. */
import type { FinalVerdict, Verdict } from '../../../src/gate/gate.ts';
import type { CommandFacts } from '../../../src/model/command-facts.ts';
import { NotingGate } from '../postgres/support.ts';

export const allow: FinalVerdict = { kind: 'allow' };
export const deny: FinalVerdict = { kind: 'deny', policies: ['no-secrets'], hint: 'Ask the keeper.' };
export const review: Verdict = { kind: 'review' };

export type FactsPolicy = (facts: CommandFacts) => Verdict;

/** Decides by facts, as a real one does. */
export class FileGate extends NotingGate {
  readonly #decide: FactsPolicy;
  questions = 0;

  constructor(decide: FactsPolicy = () => allow) {
    super();
    this.#decide = decide;
  }

  override command(
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    facts: CommandFacts | null,
  ): Verdict {
    const verdict = this.#decide(facts!);
    if (verdict.kind !== 'review') super.command(command, text, parameters, facts);
    return verdict;
  }

  override verdictOn(facts?: CommandFacts): Verdict['kind'] {
    this.questions++;
    return this.#decide(facts!).kind;
  }
}

/** Whether a path, or one below it, is named. */
export const names =
  (path: string) =>
  ({ paths }: CommandFacts): boolean =>
    paths?.includes(path) === true;

/** One direction: collects copies of what an exchange gives. */
export class Sent {
  #chunks: Buffer[] = [];

  readonly take = (bytes: Buffer): void => void this.#chunks.push(Buffer.from(bytes));

  /** Forgets what came and returns it. */
  all(): Buffer {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return bytes;
  }
}

/** Lends a copy of `bytes`, cut in pieces of `size`, and overwrites it afterwards. */
export function lend(to: (chunk: Buffer) => void, bytes: Buffer, size = bytes.length): void {
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    to(chunk);
    chunk.fill(0xdb);
  }
}
