/**
 * Policy on the commands of one session. After the first time an answer is one look-up by the identity of the facts (equal
 * facts are one object), without allocation: it stands on the data path.
 */
import { sameAuthentication, type Authentication } from '../model/authentication.ts';
import type { CommandFacts } from '../model/command-facts.ts';
import { sameStanding, type Principal } from '../model/principal.ts';
import type { TargetResource } from './entities.ts';
import type { ExecuteDecision } from './execute-decision.ts';
import type { Policies } from './policies.ts';

export interface ExecutePolicyOptions {
  /** The policies that hold now: a reload counts from the next command on. */
  readonly policies: () => Policies;
  /** As of the opening. */
  readonly principal: Principal;
  readonly target: TargetResource;
  /** Of whoever opened the session. */
  readonly sourceAddress: string;
  readonly reason: string | null;
  readonly task: string | null;
  /** Of whoever opened the session. */
  readonly authentication: Authentication;
  /** Wall clock; read only while some policy on commands depends on the time, or on an age. */
  readonly wallMs: () => number;
}

/** Answers kept for a session; commands of more kinds than this are asked about again. */
const mostAnswers = 4096;
/** Characters of names in facts that are kept: a client must not fill memory with commands that name a thousand tables. */
const mostNames = 2048;

export class ExecutePolicy {
  readonly #options: ExecutePolicyOptions;
  /** Given by `#policies` at `#timeMs`, for `#principal` and `#authentication`. */
  readonly #answers = new Map<CommandFacts, ExecuteDecision>();
  #policies: Policies;
  #principal: Principal;
  #authentication: Authentication;
  #timeMs = 0;

  constructor(options: ExecutePolicyOptions) {
    this.#options = options;
    this.#policies = options.policies();
    this.#principal = options.principal;
    this.#authentication = options.authentication;
  }

  /** The person has signed in again, in another way or at another time, or has other groups now. */
  standing(principal: Principal, authentication: Authentication): void {
    const same = sameAuthentication(authentication, this.#authentication);
    if (same && sameStanding(principal, this.#principal)) return;
    this.#principal = principal;
    this.#authentication = authentication;
    this.#answers.clear();
  }

  /** Never throws. Where policies read the time, or an age, they see whole seconds, so that an answer holds for one. */
  decide(facts: CommandFacts): ExecuteDecision {
    const policies = this.#options.policies();
    if (policies !== this.#policies) {
      this.#policies = policies;
      this.#answers.clear();
    }
    if (policies.timedExecute) this.#tick();
    return this.#answers.get(facts) ?? this.#ask(facts);
  }

  #tick(): void {
    const now = this.#options.wallMs();
    const timeMs = now - (now % 1000);
    if (timeMs === this.#timeMs) return;
    this.#timeMs = timeMs;
    this.#answers.clear();
  }

  #ask(facts: CommandFacts): ExecuteDecision {
    const { target, sourceAddress, reason, task } = this.#options;
    const authentication = this.#authentication;
    const circumstances = { timeMs: this.#timeMs, sourceAddress, authentication, reason, task, facts };
    const decision = this.#policies.execute(this.#principal, target, circumstances);
    if (decision.errors.length > 0 || lengthOf(facts) > mostNames) return decision;
    if (this.#answers.size >= mostAnswers) this.#answers.clear();
    this.#answers.set(facts, decision);
    return decision;
  }
}

const lengthOf = ({ relations, functions, programs, paths = [], destinations = [] }: CommandFacts): number =>
  [...relations, ...functions, ...programs, ...paths, ...destinations].reduce(
    (sum, name) => sum + name.length,
    0,
  );
