/**
 * One connection's view of its session's gate: policy first, then the record, then whoever has to be asked or told. What
 * is thrown in here ends the session, and what was not decided is denied.
 */
import { unknownFacts } from '../model/command-facts.ts';
import type { CommandFacts } from '../model/command-facts.ts';
import type { Outcome } from '../model/outcome.ts';
import type { ExecuteDecision } from '../policy/execute-decision.ts';
import { stepUpHint } from '../policy/step-up.ts';
import type {
  ConnectionGate,
  FinalVerdict,
  GivenCommand,
  Releasable,
  ReviewListener,
  Verdict,
} from './gate.ts';
import { KnownStatements } from './known-statements.ts';
import type { Masking, RedactionPlace, RowFindings } from './masking.ts';
import type { CommandOrigin, ConnectionInfo, Recorder, TextDigest } from './recorder.ts';
import type { HeldReview, ReviewAnswer } from './reviews.ts';
import type { GateTally, SessionGate } from './session-gate.ts';

const allow: FinalVerdict = { kind: 'allow' };
const review: Verdict = { kind: 'review' };
/** The session ends; what is said here reaches nobody. */
const failed: FinalVerdict = { kind: 'deny', policies: [], hint: null };

const unpermitted = 'No policy permits it. Ask whoever keeps the policies; hoop policy check explains them.';
const forbidden = 'Ask whoever keeps the policies; hoop policy check explains them.';
const nobodyAsked = 'It needs a review, and nobody can be asked for one.';
const tooLong = 'It needs a review, and is too long to be read.';
const policyChanged = 'The policies have changed since the review was requested. Send it again.';

interface Held {
  readonly given: GivenCommand;
  readonly facts: CommandFacts;
  readonly decision: ExecuteDecision;
  readonly listener: ReviewListener;
  handle: HeldReview | null;
  /** Known when people have been asked. */
  review: string | null;
}

export class GatedConnection implements ConnectionGate {
  readonly masking: Masking | null;
  readonly #session: SessionGate;
  readonly #recorder: Recorder;
  readonly #decide: (facts: CommandFacts) => ExecuteDecision;
  readonly #tally: GateTally;
  readonly #number: number;
  readonly #statements = new KnownStatements();
  #encoding = 'UTF8';
  /** Who asked for release last, and when. */
  #asked: Releasable | null = null;
  #askedTick = -1;
  /** Of the command that got the verdict `review` last. */
  #decision: ExecuteDecision | null = null;
  #held: Held | null = null;
  /** Denials that are not in the log yet; nothing is released meanwhile. */
  #blocking = 0;
  readonly #postponed = new Set<Releasable>();

  constructor(session: SessionGate, number: number) {
    this.#session = session;
    this.#recorder = session.recorder;
    this.#decide = session.options.decide;
    this.masking = session.options.masking;
    this.#tally = session.tally;
    this.#number = number;
  }

  opened(info: ConnectionInfo): void {
    this.#encoding = info.parameters['client_encoding'] ?? 'UTF8';
    try {
      this.#recorder.connectionOpened(this.#number, info);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  statement(text: Uint8Array, parameterTypes: readonly number[], facts: CommandFacts): number {
    const statement = this.#session.nextStatement();
    this.#statements.add(statement, parameterTypes, facts);
    try {
      this.#recorder.statement(this.#number, statement, text, parameterTypes, facts);
    } catch (error) {
      this.#session.fail(error);
    }
    return statement;
  }

  factsOf(statement: number): CommandFacts {
    return this.#statements.get(statement)?.facts ?? unknownFacts;
  }

  forgetStatement(statement: number): void {
    this.#statements.delete(statement);
    this.#recorder.forgetStatement(statement);
  }

  nextCommand(): number {
    return this.#session.nextCommand();
  }

  command(
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    facts: CommandFacts | null,
  ): Verdict {
    try {
      const decision = this.#decide(facts ?? this.#own(text));
      const { kind } = decision;
      if (kind === 'review') {
        this.#decision = decision;
        return review;
      }
      this.#recorder.command(this.#number, command, text, parameters, kind, facts, null);
      if (kind === 'deny') {
        this.#block(command, text, decision);
        return denialBy(decision);
      }
    } catch (error) {
      this.#session.fail(error);
      return failed;
    }
    this.#count(text, parameters);
    return allow;
  }

  verdictOn(facts: CommandFacts): Verdict['kind'] {
    try {
      return this.#decide(facts).kind;
    } catch (error) {
      this.#session.fail(error);
      return 'deny';
    }
  }

  review(given: GivenCommand, listener: ReviewListener): void {
    const decision = this.#decision;
    if (decision === null || this.#held !== null) {
      this.#session.fail(new Error('one command is held at a time, after its verdict'));
      return;
    }
    this.#decision = null;
    const facts = given.facts ?? this.#own(given.text);
    const held: Held = { given, facts, decision, listener, handle: null, review: null };
    this.#held = held;
    const refused = this.#request(held);
    if (refused === null) return;
    const { policies } = decision;
    queueMicrotask(() => this.#answered(held, { approved: false, policies, hint: refused, review: null }));
  }

  /** Returns why nobody was asked, or null. */
  #request(held: Held): string | null {
    const { reviews } = this.#session.options;
    if (reviews === null) return nobodyAsked;
    const { given, facts, decision } = held;
    const text = this.#quoted(given.text);
    if (!(text instanceof Uint8Array)) return tooLong;
    const byName = typeof given.text === 'number' ? given.text : null;
    held.handle = reviews.request(
      {
        connection: this.#number,
        command: given.command,
        text,
        parameters: this.#quotedParameters(given.parameters, byName),
        parameterTypes: (byName === null ? undefined : this.#statements.get(byName))?.parameterTypes ?? [],
        encoding: this.#encoding,
        facts,
        policies: decision.policies,
        needed: decision.needed,
      },
      {
        held: (notice) => {
          if (this.#held !== held) return;
          held.review = notice.review;
          held.listener.held(notice);
        },
        decided: (answer) => this.#answered(held, answer),
      },
    );
    return null;
  }

  withheld(given: GivenCommand): void {
    this.#decision = null;
    this.#record(given, 'deny', null);
  }

  withdraw(command: number, why: 'cancelled' | 'disconnected' | 'session-ended'): void {
    const held = this.#held;
    if (held === null || held.given.command !== command) return;
    this.#held = null;
    held.handle?.withdraw(why);
    this.#record(held.given, 'deny', held.review);
  }

  /** The last word of people, and of the policies as they are now. */
  #answered(held: Held, answer: ReviewAnswer): void {
    if (this.#held !== held) return;
    this.#held = null;
    const { given } = held;
    let verdict: FinalVerdict = allow;
    let errors: readonly string[] = [];
    if (!answer.approved || answer.review === null) {
      verdict = { kind: 'deny', policies: answer.policies, hint: answer.hint };
    } else {
      const now = this.#decide(held.facts);
      errors = now.errors;
      if (now.kind === 'deny') verdict = denialBy(now);
      else if (now.kind === 'review' && !sameNeeds(now, held.decision))
        verdict = { kind: 'deny', policies: now.policies, hint: policyChanged };
    }
    this.#record(given, verdict.kind, answer.review);
    if (verdict.kind === 'allow') this.#count(given.text, given.parameters);
    // A rejection stands in the log already.
    else if (answer.approved || answer.review === null)
      this.#block(given.command, given.text, { policies: verdict.policies, errors });
    held.listener.decided(verdict);
  }

  #record(given: GivenCommand, verdict: 'allow' | 'deny', by: string | null): void {
    const { command, text, parameters, facts } = given;
    try {
      this.#recorder.command(this.#number, command, text, parameters, verdict, facts, by);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  /** Leaves the denial in the log; until it is there nothing is released, so that the client hears of it afterwards. */
  #block(
    command: number,
    text: Uint8Array | number,
    { policies, errors }: Pick<ExecuteDecision, 'policies' | 'errors'>,
  ): void {
    this.#blocking++;
    if (this.#asked !== null && this.#askedTick === this.#session.tick) {
      this.#session.takeBack(this.#asked);
      this.#postponed.add(this.#asked);
      this.#askedTick = -1;
    }
    const entry = { connection: this.#number, command, text: this.#quoted(text), policies, errors };
    this.#session.options.blocked(entry).then(
      () => {
        this.#blocking--;
        if (this.#blocking > 0) return;
        const postponed = [...this.#postponed];
        this.#postponed.clear();
        for (const releasable of postponed) this.whenRecorded(releasable);
      },
      (error: unknown) => this.#session.fail(error),
    );
  }

  #quoted(text: Uint8Array | number): Uint8Array | TextDigest {
    if (typeof text === 'number') return this.#recorder.statementText(text);
    return this.#session.options.quoting?.text(text) ?? text;
  }

  #quotedParameters(parameters: Uint8Array | null, statement: number | null): Uint8Array | null {
    if (parameters === null) return null;
    return this.#session.options.quoting?.parameters(parameters, statement) ?? parameters;
  }

  #own(text: Uint8Array | number): CommandFacts {
    return typeof text === 'number' ? this.factsOf(text) : unknownFacts;
  }

  #count(text: Uint8Array | number, parameters: Uint8Array | null): void {
    if (typeof text !== 'number') this.#tally.bytesToTarget += text.length;
    if (parameters !== null) this.#tally.bytesToTarget += parameters.length;
  }

  redacted(
    command: number,
    rule: number,
    place: RedactionPlace,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    try {
      const name = this.masking!.ruleName(rule);
      this.#recorder.redaction(this.#number, command, name, place, bytes.subarray(start, end));
    } catch (error) {
      this.#session.fail(error);
    }
  }

  redactedRows(command: number, found: RowFindings): void {
    try {
      this.#recorder.rowRedactions(this.#number, command, found);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  input(command: number, bytes: Uint8Array): void {
    this.#tally.bytesToTarget += bytes.length;
    try {
      this.#recorder.input(this.#number, command, bytes);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  output(command: number, bytes: Buffer): Buffer {
    this.#tally.bytesToClient += bytes.length;
    try {
      this.#recorder.output(this.#number, command, bytes);
    } catch (error) {
      this.#session.fail(error);
    }
    return bytes;
  }

  errorOutput(command: number, bytes: Buffer): Buffer {
    this.#tally.bytesToClient += bytes.length;
    try {
      this.#recorder.errorOutput(this.#number, command, bytes);
    } catch (error) {
      this.#session.fail(error);
    }
    return bytes;
  }

  resize(command: number, columns: number, rows: number): void {
    try {
      this.#recorder.resize(this.#number, command, columns, rows);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  origin(command: number, origin: CommandOrigin): void {
    try {
      this.#recorder.origin(this.#number, command, origin);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  outcome(command: number, outcome: Outcome): void {
    this.#tally.commands[outcome.kind]++;
    try {
      this.#recorder.outcome(this.#number, command, outcome);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  maskingFailed(error: unknown): void {
    this.#session.maskingFailed(error);
  }

  whenRecorded(releasable: Releasable): void {
    if (this.#blocking > 0) {
      this.#postponed.add(releasable);
      return;
    }
    const { tick } = this.#session;
    const again = this.#askedTick === tick;
    if (again && this.#asked === releasable) return;
    this.#asked = releasable;
    this.#askedTick = tick;
    this.#session.whenRecorded(releasable, again);
  }

  closed(reason: string): void {
    // A client need not close what it has prepared, and its session may outlive many connections.
    for (const statement of this.#statements.numbers()) this.#recorder.forgetStatement(statement);
    try {
      this.#recorder.connectionClosed(this.#number, reason);
    } catch (error) {
      this.#session.fail(error);
    }
  }
}

function denialBy({ policies, stepUp }: ExecuteDecision): FinalVerdict {
  if (stepUp !== null) return { kind: 'deny', policies, hint: `You have to ${stepUpHint(stepUp)}` };
  return { kind: 'deny', policies, hint: policies.length === 0 ? unpermitted : forbidden };
}

const sameNeeds = (a: ExecuteDecision, b: ExecuteDecision): boolean =>
  a.needed.length === b.needed.length &&
  a.needed.every(({ group, count }) =>
    b.needed.some((other) => other.group === group && other.count === count),
  );
