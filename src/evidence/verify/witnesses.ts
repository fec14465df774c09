/**
 * How far the witnesses of a policy vouch for the log. Each has cosigned some checkpoint last, perhaps not the same: a
 * witness cosigns a tree only if it extends all that it cosigned before, and here that tree is shown to be a prefix of this
 * log. So the log is *witnessed* up to the largest size for which the witnesses that cosigned at least that many entries
 * satisfy the policy.
 *
 * Entries come faster than witnesses answer, and a witness may be away; so a log that is witnessed up to an hour before its
 * last entry verifies, with a warning. The hour is that for which the specification lets a witness's view be late.
 * By times of entries alone: verification asks no clock.
 */
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import type { WitnessPolicy } from '../log/policy.ts';
import type { Hash } from '../log/tlog.ts';
import { readCosigned, witnessedPath, type Cosigned } from '../log/witnessed.ts';
import { noteBytes, readIfThere } from '../regular-file.ts';
import type { Findings } from './finding.ts';

const longestLagMs = 3_600_000;

/** What the report says of one witness. */
export interface WitnessView {
  readonly name: string;
  /** Entries that it vouches for; null: it has said nothing that is here. */
  readonly size: number | null;
  /** When it said so, seconds since the epoch. */
  readonly seconds: number | null;
}

export interface WitnessReport {
  readonly witnesses: readonly WitnessView[];
  /** Entries that the policy holds for; null when it holds for none. */
  readonly size: number | null;
}

export class WitnessCheck {
  readonly #policy: WitnessPolicy;
  readonly #findings: Findings;
  readonly #cosigned = new Map<string, Cosigned>();
  #timeOfNext: string | null = null;
  #refuted = new Set<string>();
  #size: number | null = null;

  private constructor(policy: WitnessPolicy, findings: Findings) {
    this.#policy = policy;
    this.#findings = findings;
  }

  /** @param log the log's directory */
  static async open(
    log: Location,
    { policy, origin }: { readonly policy: WitnessPolicy; readonly origin: string },
    findings: Findings,
  ): Promise<WitnessCheck> {
    const check = new WitnessCheck(policy, findings);
    for (const { name, verifier } of policy.witnesses) {
      for (const file of ['checkpoint', witnessedPath(verifier.toString())]) {
        const bytes = await readIfThere(within(log, file), noteBytes);
        const cosigned = bytes === null ? null : read(bytes, verifier);
        if (cosigned === null || cosigned.checkpoint.origin !== origin) continue;
        const known = check.#cosigned.get(name);
        if (known === undefined || known.checkpoint.size < cosigned.checkpoint.size)
          check.#cosigned.set(name, cosigned);
      }
    }
    check.#size = check.#witnessedSize();
    return check;
  }

  /** An entry and its time. */
  entry(index: number, time: string): void {
    if (index === (this.#size ?? 0)) this.#timeOfNext = time;
  }

  reached(size: number, root: () => Hash): void {
    for (const [name, { checkpoint }] of this.#cosigned) {
      if (checkpoint.size !== size || root().equals(checkpoint.root)) continue;
      this.#refuted.add(name);
      const message = `the witness ${name} saw other entries than the first ${size} that are here`;
      this.#findings.failure('log-forked', message, { index: Math.max(size - 1, 0) });
    }
  }

  /** All entries are read. @param to time of the last one */
  finish(size: number, to: string | null): void {
    for (const [name, { checkpoint }] of this.#cosigned) {
      if (checkpoint.size <= size) continue;
      this.#refuted.add(name);
      const message = `the log has ${size} entries, and the witness ${name} saw ${checkpoint.size}`;
      this.#findings.failure('log-rolled-back', message, { file: 'log/checkpoint', index: size });
    }
    const witnessed = this.#witnessedSize();
    this.#size = witnessed === null ? null : Math.min(witnessed, size);
    if (this.#size === null) {
      const vouching = this.#cosigned.size - this.#refuted.size;
      const message = `the witnesses that cosigned (${vouching} of ${this.#policy.witnesses.length}) do not satisfy the policy`;
      this.#findings.failure('checkpoint-unwitnessed', message, { file: 'log/checkpoint' });
    } else if (this.#size < size) this.#late(size, to);
  }

  get report(): WitnessReport {
    const witnesses = this.#policy.witnesses.map(({ name }) => {
      const cosigned = this.#refuted.has(name) ? undefined : this.#cosigned.get(name);
      return { name, size: cosigned?.checkpoint.size ?? null, seconds: cosigned?.seconds ?? null };
    });
    return { witnesses, size: this.#size };
  }

  #late(size: number, to: string | null): void {
    const [from, end] = [Date.parse(this.#timeOfNext ?? ''), Date.parse(to ?? '')];
    const message = `the last ${size - this.#size!} entries are not witnessed`;
    const place = { index: this.#size! };
    if (end - from <= longestLagMs) this.#findings.warning('entries-unwitnessed', `${message} yet`, place);
    else
      this.#findings.failure(
        'witnesses-late',
        `${message}, the first of them for ${Math.floor((end - from) / 60_000)} minutes`,
        place,
      );
  }

  /** The largest size for which the policy holds, of those that some witness cosigned; null for none. */
  #witnessedSize(): number | null {
    const vouching = [...this.#cosigned].filter(([name]) => !this.#refuted.has(name));
    if (this.#policy.satisfied(new Set())) return Number.MAX_SAFE_INTEGER;
    const sizes = vouching.map(([, { checkpoint }]) => checkpoint.size).toSorted((a, b) => b - a);
    const holds = (size: number): boolean =>
      this.#policy.satisfied(
        new Set(vouching.flatMap(([name, { checkpoint }]) => (checkpoint.size >= size ? [name] : []))),
      );
    return sizes.find(holds) ?? null;
  }
}

/** What is no note says nothing. */
function read(bytes: Buffer, verifier: Parameters<typeof readCosigned>[1]): Cosigned | null {
  try {
    return readCosigned(bytes, verifier);
  } catch (error) {
    if (error instanceof EvidenceError) return null;
    throw error;
  }
}
