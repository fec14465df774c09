/**
 * Who may do what, decided by Cedar policies (https://www.cedarpolicy.com): nothing is allowed that no `permit` names,
 * and one `forbid` outweighs every `permit`; a `forbid` with `@review` holds a command until people have lifted it. This
 * folder answers; it neither authenticates anybody (identity/) nor acts on an answer (gate/), nor asks people (reviews/).
 * It opens no socket and reads no clock: time and address come with the request.
 *
 * Invariant: whatever goes wrong while a question is answered (a policy that fails to evaluate, a value that Cedar
 * refuses, the engine itself) is a denial. Whatever is wrong with the policies themselves is refused at start.
 */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Authentication, StepUp } from '../model/authentication.ts';
import type { CommandFacts } from '../model/command-facts.ts';
import type { Principal } from '../model/principal.ts';
import { decide } from './decision.ts';
import type { Decision } from './decision.ts';
import { PolicyEngine, engineFailed } from './engine.ts';
import type { EngineAnswer } from './engine.ts';
import type { SessionResource, TargetResource } from './entities.ts';
import { PolicyError, formatProblem } from './error.ts';
import type { PolicyProblem } from './error.ts';
import { bothOf, decideExecute } from './execute-decision.ts';
import type { ExecuteDecision } from './execute-decision.ts';
import { cedarRequest, shapeOf } from './request.ts';
import type { CedarRequest, Circumstances, ConnectCircumstances, ExecuteCircumstances } from './request.ts';
import type { DelegateCircumstances, PolicyRequest } from './request.ts';
import { unionOfNeeds } from './review-rule.ts';
import { actions, type Action } from './schema.ts';
import { splitPolicies } from './source.ts';
import type { PolicyText, SourcePolicy } from './source.ts';
import { mentionedFor, stepUpThatLifts, type Mentioned } from './step-up.ts';
import { invalid, repeatedIds, validateAll } from './validation.ts';

/** Decisions kept; far more than live principals × targets × actions of one relay. */
const cacheEntries = 10_000;

/** Characters of a question whose answer is kept; a client must not fill memory with long ones. */
const longestShape = 8192;

/** A question that is answered by yes or no. */
export type PlainRequest = Exclude<PolicyRequest, { action: 'execute' | 'forward' }>;

/** A validated set of policies. Immutable; a reload makes a new one. */
export class Policies {
  readonly #engine: PolicyEngine;
  /** All but the forbids that people can lift; null when there are none. */
  readonly #withoutReviews: PolicyEngine | null;
  readonly #policies: ReadonlyMap<string, SourcePolicy>;
  readonly #decisions = new Map<string, Decision>();
  readonly #executions = new Map<string, ExecuteDecision>();
  /** Actions whose decisions hold for an instant only: some policy for them reads the time, or an age that grows with it. */
  readonly #timed: ReadonlySet<Action>;
  /** Actions on which a fresh sign-in may change the answer. */
  readonly #mentioned: ReadonlyMap<Action, Mentioned>;
  /** What a decision on a command depends on, of the facts; null: on all of them. */
  readonly #factsRead: ReadonlySet<string> | null;
  /** SHA-256 of each file's bytes, hex, in the order given. */
  readonly files: readonly PolicyFileDigest[];
  /** What is no error but hardly meant; Cedar's own remarks as `file:line:column: …`. */
  readonly warnings: readonly string[];

  private constructor(
    files: readonly PolicyText[],
    policies: readonly SourcePolicy[],
    warnings: readonly string[],
  ) {
    this.files = files.map(({ name, text }) => ({
      name,
      sha256: createHash('sha256').update(text).digest('hex'),
    }));
    this.#policies = new Map(policies.map((policy) => [policy.id, policy]));
    const timed = policies.filter(
      ({ reads }) => reads === null || reads.has('time') || reads.has('authAgeSeconds'),
    );
    this.#timed = new Set(timed.flatMap((policy) => policy.actions));
    this.#mentioned = new Map(
      actions.flatMap((action) => {
        const mentioned = mentionedFor(action, policies);
        return mentioned === null ? [] : [[action, mentioned]];
      }),
    );
    this.#factsRead = readToExecute(policies);
    this.warnings = nobodyExecutes(policies) ? [...warnings, connectWithoutExecute] : warnings;
    this.#engine = new PolicyEngine(policies);
    const lasting = policies.filter(({ review }) => review === null);
    this.#withoutReviews = lasting.length === policies.length ? null : new PolicyEngine(lasting);
  }

  /**
   * Reads policy files.
   * @throws PolicyError `policy-unreadable`, `policy-invalid`
   */
  static load(files: readonly string[]): Policies {
    return Policies.parse(files.map((name) => ({ name, text: readPolicyFile(name) })));
  }

  /**
   * Parses and validates policies. No file, or none with a policy in it, is valid and denies everything.
   * @throws PolicyError `policy-invalid` with every problem found
   */
  static parse(files: readonly PolicyText[]): Policies {
    const policies: SourcePolicy[] = [];
    const problems: PolicyProblem[] = [];
    for (const file of files) {
      const split = splitPolicies(file);
      policies.push(...split.policies);
      problems.push(...split.problems);
    }
    problems.push(...repeatedIds(policies));
    if (problems.length > 0) throw invalid(problems);
    const { errors, warnings } = validateAll(policies);
    if (errors.length > 0) throw invalid(errors);
    return new Policies(files, policies, warnings.map(formatProblem));
  }

  /** Ids of all policies, in order of the files. */
  get ids(): readonly string[] {
    return [...this.#policies.keys()];
  }

  /** A policy as written, for explanations; null when there is none of this id. */
  policy(id: string): SourcePolicy | null {
    return this.#policies.get(id) ?? null;
  }

  /** True when some policy on commands reads the time: what `execute` answers holds for that time alone. */
  get timedExecute(): boolean {
    return this.#timed.has('execute') || this.#timed.has('forward');
  }

  /** Answers one question. Never throws. */
  evaluate(request: PlainRequest): Decision {
    if (this.#timed.has(request.action)) return this.#decide(request);
    const lasting = withoutAge(request);
    const shape = shapeOf(lasting);
    const known = this.#decisions.get(shape);
    if (known !== undefined) return known;
    const decision = this.#decide(lasting);
    if (decision.errors.length === 0) remember(this.#decisions, shape, decision);
    return decision;
  }

  /** May this principal open a session at this target? */
  connect(principal: Principal, target: TargetResource, circumstances: ConnectCircumstances): Decision {
    return this.evaluate({ action: 'connect', principal, target, circumstances });
  }

  /** May this principal end this session? */
  kill(principal: Principal, session: SessionResource, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'kill', principal, session, circumstances });
  }

  /** May this principal see what is held in this session, and decide on it as far as the review's groups allow? */
  review(principal: Principal, session: SessionResource, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'review', principal, session, circumstances });
  }

  /** May this principal get the sealed originals of a session? */
  unseal(principal: Principal, session: SessionResource, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'unseal', principal, session, circumstances });
  }

  /** May this principal seal the originals of a session to other auditors? */
  reseal(principal: Principal, session: SessionResource, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'reseal', principal, session, circumstances });
  }

  /** May this principal read the record of a session, or, with null, of everything? */
  readEvidence(
    principal: Principal,
    session: SessionResource | null,
    circumstances: Circumstances,
  ): Decision {
    return this.evaluate({ action: 'readEvidence', principal, session, circumstances });
  }

  /** May this person let this agent act for them? */
  delegate(principal: Principal, agent: Principal, circumstances: DelegateCircumstances): Decision {
    return this.evaluate({ action: 'delegate', principal, agent, circumstances });
  }

  /** May this principal administer the relay? */
  administer(principal: Principal, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'administer', principal, circumstances });
  }

  /**
   * May this command run at this target? A forwarding is an action of its own: what permits commands permits none; a command
   * that makes one beside what else it does (`ssh -L` in a shell) needs both. `review`: only policies that people can lift
   * stand against it. Never throws. A session asks through its `ExecutePolicy`, which remembers the answers.
   */
  execute(
    principal: Principal,
    target: TargetResource,
    circumstances: ExecuteCircumstances,
  ): ExecuteDecision {
    const { effects } = circumstances.facts;
    const facts = this.#relevant(circumstances.facts);
    const ask = (action: ExecuteRequest['action']): ExecuteDecision =>
      this.#execute({ action, principal, target, circumstances: { ...circumstances, facts } });
    if (!effects.includes('forward')) return ask('execute');
    return effects.length === 1 ? ask('forward') : bothOf(ask('execute'), ask('forward'));
  }

  #execute(request: ExecuteRequest): ExecuteDecision {
    if (this.timedExecute) return this.#decideExecute(request);
    const lasting = withoutAge(request);
    const shape = shapeOf(lasting);
    const known = this.#executions.get(shape);
    if (known !== undefined) return known;
    const decision = this.#decideExecute(lasting);
    if (decision.errors.length === 0) remember(this.#executions, shape, decision);
    return decision;
  }

  /** Frees the engine's copy; every later question is denied. */
  close(): void {
    this.#decisions.clear();
    this.#executions.clear();
    this.#engine.close();
    this.#withoutReviews?.close();
  }

  /** The facts without those that no policy looks at, so that commands that differ in nothing else share one answer. */
  #relevant(facts: CommandFacts): CommandFacts {
    const read = this.#factsRead;
    if (read === null) return facts;
    return {
      effects: read.has('effects') || read.has('unbounded') ? facts.effects : [],
      relations: read.has('relations') ? facts.relations : [],
      functions: read.has('functions') ? facts.functions : [],
      programs: read.has('programs') ? facts.programs : [],
      ...(facts.paths && read.has('paths') && { paths: facts.paths }),
      ...(facts.destinations && read.has('destinations') && { destinations: facts.destinations }),
    };
  }

  #decide(request: PlainRequest): Decision {
    const asked = cedarRequestOf(request);
    const { principal, action } = request;
    if (asked === null) return decide({ principal, action, resource: '' }, { ...engineFailed, stepUp: null });
    const answer = this.#engine.ask(asked);
    const stepUp = this.#stepUpFor(request, answer.decision, (again) => {
      const repeated = cedarRequestOf(again);
      return repeated !== null && isAllow(this.#engine.ask(repeated));
    });
    return decide({ principal, action, resource: asked.id }, { ...answer, stepUp });
  }

  #decideExecute(request: ExecuteRequest): ExecuteDecision {
    const decision = this.#answerExecute(request, null);
    const lifted = (again: ExecuteRequest): boolean => this.#answerExecute(again, null).kind !== 'deny';
    const stepUp = this.#stepUpFor(request, decision.kind, lifted);
    return stepUp === null ? decision : this.#answerExecute(request, stepUp);
  }

  /** Of a denial: what a fresh sign-in would have to bring to lift it. A program cannot sign in again. */
  #stepUpFor<Request extends PolicyRequest>(
    request: Request,
    decision: string,
    lifted: (again: Request) => boolean,
  ): StepUp | null {
    const mentioned = this.#mentioned.get(request.action);
    if (decision !== 'deny' || mentioned === undefined || request.principal.kind !== 'person') return null;
    return stepUpThatLifts(mentioned, request.circumstances, (authentication: Authentication) =>
      lifted({ ...request, circumstances: { ...request.circumstances, authentication } }),
    );
  }

  #answerExecute(request: ExecuteRequest, stepUp: StepUp | null): ExecuteDecision {
    const asked = cedarRequestOf(request);
    const answer = asked === null ? engineFailed : this.#engine.ask(asked);
    if (asked === null || answer.errors.length > 0 || answer.decision === 'allow')
      return decideExecute({ kind: answer.decision, ...answer, stepUp });
    const needs = this.#needsOf(answer);
    if (needs === null || this.#withoutReviews === null)
      return decideExecute({ kind: 'deny', ...answer, stepUp });
    // Lifting the forbids does not help where nothing permits, and asking people would mislead them.
    const lifted = this.#withoutReviews.ask(asked);
    if (lifted.decision === 'deny') return decideExecute({ kind: 'deny', ...lifted, stepUp });
    const { policies } = answer;
    return decideExecute({ kind: 'review', policies, errors: lifted.errors, needed: unionOfNeeds(needs) });
  }

  /** Of each policy that denied; null when one of them cannot be lifted, or when none spoke. */
  #needsOf({ policies }: EngineAnswer) {
    const needs = policies.flatMap((id) => this.#policies.get(id)?.review ?? []);
    const liftable = policies.every((id) => (this.#policies.get(id)?.review ?? null) !== null);
    return policies.length > 0 && liftable ? [needs] : null;
  }
}

function readPolicyFile(name: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(name);
  } catch (cause) {
    throw new PolicyError('policy-unreadable', `cannot read the policy file ${name}`, { cause });
  }
  // The digest is that of the bytes only if nothing is lost in between.
  if (!isUtf8(bytes)) throw new PolicyError('policy-unreadable', `the policy file ${name} is not UTF-8`);
  return bytes.toString();
}

/** A policy file as it was read. */
export interface PolicyFileDigest {
  readonly name: string;
  readonly sha256: string;
}

function remember<T>(cache: Map<string, T>, shape: string, decision: T): void {
  if (shape.length > longestShape) return;
  if (cache.size >= cacheEntries) cache.delete(cache.keys().next().value!);
  cache.set(shape, decision);
}

const connectWithoutExecute =
  'some policy permits connect, but none permits execute: sessions open, and every command is denied';

function nobodyExecutes(policies: readonly SourcePolicy[]): boolean {
  const permits = policies.filter(({ effect }) => effect === 'permit');
  const permitted = (action: Action): boolean => permits.some(({ actions }) => actions.includes(action));
  return permitted('connect') && !permitted('execute');
}

type ExecuteRequest = Extract<PolicyRequest, { action: 'execute' | 'forward' }>;

const isAllow = ({ decision, errors }: EngineAnswer): boolean => decision === 'allow' && errors.length === 0;

/** For answers that are remembered: no policy reads the age, and if one did it would find none. */
function withoutAge<Request extends PolicyRequest>(request: Request): Request {
  const { circumstances } = request;
  const authentication = { ...circumstances.authentication, timeMs: null };
  return { ...request, circumstances: { ...circumstances, authentication } };
}

/** Null for values that cannot be asked about; that is a denial. */
function cedarRequestOf(request: PolicyRequest): CedarRequest | null {
  try {
    return cedarRequest(request);
  } catch {
    return null;
  }
}

/** Attributes of the context that policies on commands look at; null: the whole. */
function readToExecute(policies: readonly SourcePolicy[]): ReadonlySet<string> | null {
  const read = new Set<string>();
  for (const { actions, reads } of policies) {
    if (!actions.includes('execute') && !actions.includes('forward')) continue;
    if (reads === null) return null;
    for (const attribute of reads) read.add(attribute);
  }
  return read;
}
