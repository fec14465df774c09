/**
 * Operations that wait for people, of one channel. People are asked about one at a time, the others wait for their turn and
 * are decided anew when it comes.
 */
import type { ConnectionGate, FinalVerdict, GivenCommand } from '../../../gate/gate.ts';
import type { CommandFacts } from '../../../model/command-facts.ts';

export interface HeldFile extends GivenCommand {
  readonly text: Buffer;
  readonly facts: CommandFacts;
  /** On `allow` it has been recorded and may go. `review`: the one that was told to the client, or null. */
  readonly decided: (verdict: FinalVerdict, review: string | null) => void;
}

export interface HeldFilesOptions {
  readonly gate: ConnectionGate;
  /** Runs what happens outside of a call from the channel. */
  readonly awake: (work: () => void) => void;
  /** Takes a line for the person, without its end. */
  /** A line for the person, without who speaks. */
  readonly tell: (line: string) => void;
}

/** Outcome of one that nobody waits for any more. */
export const withdrawn = { kind: 'cancelled', tag: null, rows: 0, errorCode: 'withdrawn' } as const;

const mostHeld = 64;

export class HeldFiles {
  readonly #options: HeldFilesOptions;
  #asked: HeldFile | null = null;
  #review: string | null = null;
  readonly #waiting: HeldFile[] = [];

  constructor(options: HeldFilesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#waiting.length + (this.#asked === null ? 0 : 1);
  }

  get full(): boolean {
    return this.count >= mostHeld;
  }

  /** Takes one that has just got the verdict `review`; not when it is full. */
  add(file: HeldFile): void {
    if (this.#asked === null) this.#ask(file);
    else this.#waiting.push(file);
  }

  /** The channel is over: none of them is carried out. */
  leave(why: 'disconnected' | 'session-ended'): void {
    const { gate } = this.#options;
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null) {
      gate.withdraw(asked.command, why);
      gate.outcome(asked.command, withdrawn);
    }
    for (const file of this.#waiting.splice(0)) {
      gate.withheld(file);
      gate.outcome(file.command, withdrawn);
    }
  }

  #ask(file: HeldFile): void {
    const { gate, awake, tell } = this.#options;
    this.#asked = file;
    this.#review = null;
    gate.review(file, {
      held: ({ review, needed }) =>
        awake(() => {
          if (this.#asked !== file) return;
          this.#review = review;
          tell(
            `${file.text.toString()} is held for review ${review}; ` +
              `approve: hoop approve ${review}; needs ${needed.join(', ')}`,
          );
        }),
      decided: (verdict) => awake(() => this.#decided(file, verdict)),
    });
  }

  #decided(file: HeldFile, verdict: FinalVerdict): void {
    if (this.#asked !== file) return;
    this.#asked = null;
    file.decided(verdict, this.#review);
    while (this.#asked === null && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      const now = this.#options.gate.command(next.command, next.text, next.parameters, next.facts);
      if (now.kind === 'review') this.#ask(next);
      else next.decided(now, null);
    }
  }
}

/** What a client is told of a denial. */
export function denialText(verdict: FinalVerdict & { kind: 'deny' }, review: string | null): string {
  const by = verdict.policies.length === 0 ? '' : ` ${verdict.policies.join(', ')}`;
  const who = review === null ? `by policy${by}` : `in review ${review}`;
  return `permission denied ${who}${verdict.hint === null ? '' : `. ${verdict.hint}`}`;
}
