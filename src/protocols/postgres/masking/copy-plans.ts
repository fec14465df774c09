/**
 * What a COPY … TO STDOUT will send, decided before the command is forwarded: once its data flows there is no way back to an
 * ordinary error. A COPY whose columns cannot be told is refused whenever they might matter.
 */
import type { CommandFacts } from '../../../model/command-facts.ts';
import type { Masking } from '../../../gate/masking.ts';
import { PostgresError } from '../error.ts';
import type { Column } from '../messages/query.ts';
import type { Catalog } from './catalog.ts';
import { columnPlan } from './columns.ts';
import type { Sources } from './columns.ts';
import type { CopyPlan } from './copy-rows.ts';
import { copyStatements } from './copy-statement.ts';
import type { CopyStatement } from './copy-statement.ts';

/** `wait`: it will be known later. A PostgresError: refuse the command with it. */
export type Readiness = 'ready' | 'wait' | PostgresError;

/** Commands and statements that are remembered. */
const bound = 1024;

interface Prepared {
  /** In the order of the statements; not all are known as long as there are fewer than statements. */
  readonly plans: CopyPlan[];
  readonly statements: readonly (CopyStatement | null)[];
  failure: PostgresError | null;
  /** Of the plans, how many have been used. */
  used: number;
}

export class CopyPlans {
  readonly #masking: Masking;
  readonly #sources: Sources;
  readonly #prepared = new Map<number, Prepared>();
  /** Texts of prepared statements that copy. */
  readonly #texts = new Map<number, { readonly text: string; readonly facts: CommandFacts }>();
  /** Null: nothing can be asked. */
  catalog: Catalog | null = null;

  constructor(masking: Masking, sources: Sources) {
    this.#masking = masking;
    this.#sources = sources;
  }

  /** A client prepares a statement. */
  statement(statement: number, text: Uint8Array, facts: CommandFacts): void {
    if (!mayCopy(text, facts)) return;
    if (this.#texts.size >= bound) this.#texts.delete(this.#texts.keys().next().value!);
    this.#texts.set(statement, { text: Buffer.from(text).toString('utf8'), facts });
  }

  /**
   * A command is about to be decided, by its text or by its statement. `then` is called, later, after `wait`: ask again.
   */
  prepare(
    command: number,
    text: Uint8Array | number,
    facts: CommandFacts | null,
    then: () => void,
  ): Readiness {
    const known = this.#prepared.get(command);
    if (known !== undefined) {
      if (known.failure !== null) return known.failure;
      return known.plans.length === known.statements.length ? 'ready' : 'wait';
    }
    const copy = this.#copying(text, facts);
    if (copy === null) return 'ready';
    const statements = copyStatements(copy.text);
    if (statements === null) return /\bto\s+stdout\b/i.test(copy.text) ? refusedText() : 'ready';
    if (statements.length === 0) return 'ready';
    if (statements.includes(null)) return refusedText();
    const prepared: Prepared = { plans: [], statements, failure: null, used: 0 };
    if (this.#prepared.size >= bound) this.#prepared.delete(this.#prepared.keys().next().value!);
    this.#prepared.set(command, prepared);
    this.#learn(prepared, copy.facts.relations).then(then, (error: unknown) => {
      prepared.failure = refused('the target does not tell what this COPY would send', error);
      then();
    });
    return 'wait';
  }

  #copying(
    text: Uint8Array | number,
    facts: CommandFacts | null,
  ): { text: string; facts: CommandFacts } | null {
    if (typeof text === 'number') return this.#texts.get(text) ?? null;
    if (facts === null || !mayCopy(text, facts)) return null;
    return { text: Buffer.from(text).toString('utf8'), facts };
  }

  async #learn(prepared: Prepared, relations: readonly string[]): Promise<void> {
    for (const statement of prepared.statements) {
      const columns = (await this.catalog?.copied(statement!, relations)) ?? null;
      if (columns === null) {
        prepared.failure = refused('it cannot be told which columns this COPY would send');
        return;
      }
      prepared.plans.push(this.#plan(statement!, columns));
    }
  }

  #plan(statement: CopyStatement, columns: readonly Column[]): CopyPlan {
    const plans = columns.map((column) => {
      const { rule, exempt, typeOid, type } = columnPlan(this.#masking, column, this.#sources(column));
      return { rule, exempt, typeOid, type };
    });
    return { binary: statement.format === 'binary', statement, columns: plans };
  }

  /** The data of the command's next COPY begins. @throws PostgresError when it is not the one that was expected */
  take(command: number, binary: boolean, columns: number): CopyPlan {
    const prepared = this.#prepared.get(command);
    const plan = prepared?.plans[prepared.used];
    if (
      prepared === undefined ||
      plan === undefined ||
      plan.binary !== binary ||
      plan.columns?.length !== columns
    ) {
      throw refused('the target sends a COPY that was not foreseen');
    }
    prepared.used++;
    return plan;
  }

  /** Commands up to this one have been answered. */
  answered(command: number): void {
    for (const known of this.#prepared.keys()) if (known <= command) this.#prepared.delete(known);
  }
}

function mayCopy(text: Uint8Array, { effects }: CommandFacts): boolean {
  if (effects.includes('copy')) return true;
  return effects.includes('unknown') && /copy/i.test(Buffer.from(text).toString('latin1'));
}

const refusedText = (): PostgresError => refused('this COPY is not understood');

const refused = (message: string, cause?: unknown): PostgresError =>
  new PostgresError('postgres-masking-refused', `${message}, and values are masked here`, {
    hint: 'Name the table with its schema (COPY schema.table TO STDOUT), or use SELECT.',
    ...(cause === undefined ? {} : { cause }),
  });
