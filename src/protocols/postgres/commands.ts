/**
 * What the client's messages mean: which of them are commands, under which text each stands, and what becomes of it
 * when the gate has decided. Framing is `frontend.ts`'s; here a message is whole and its length is legal.
 *
 * A command that people have to look at is asked about when everything before it has been answered; until then, and until
 * they have decided, its message waits, and with it what follows on this connection. When they have, the same message
 * comes again, and their ruling takes the place of the gate's verdict.
 */
import type { ConnectionGate, FinalVerdict, GivenCommand, ReviewListener } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import { cancelledSqlstate, deniedSqlstate, peerError, PostgresError } from './error.ts';
import type { Exchange } from './exchange.ts';
import type { ResultMasking } from './masking/result-masking.ts';
import { encodeErrorResponse } from './messages/error.ts';
import { encodeMessage } from './messages/frame.ts';
import { decodeParse } from './messages/query.ts';
import { Slot } from './pipeline.ts';
import { checkName, deallocatedName, mightRename } from './prepared-statements.ts';
import type { Found } from './prepared-statements.ts';
import { cancelled, denied, tooManyStatements } from './refusals.ts';
import type { RefusedSlot } from './refusals.ts';
import { factsOfSuspect, hiddenSqlOf } from './suspect-statements.ts';
import type { HiddenSql } from './suspect-statements.ts';

/** What becomes of a message. */
export const Passage = {
  forward: 0,
  wait: 1, // for answers to earlier segments
  settle: 2, // for the answers to everything that was forwarded
  review: 3, // for people
  refuse: 4, // see `refusal`
  drop: 5, // the target would skip it
  end: 6, // the client is gone: it is dropped, and so is what follows
  describe: 7, // forward it behind `inquiry`
  lookup: 8, // for what masking has to know; `again` is called
} as const;
export type Passage = (typeof Passage)[keyof typeof Passage];

/** What people said of a held command, or that the client withdrew it. */
export type Ruling = FinalVerdict | { readonly kind: 'cancel' };

/** Takes the place of a refused message. */
export interface Refusal {
  readonly slot: RefusedSlot;
  readonly error: Buffer;
}

export interface CommandsOptions {
  readonly gate: ConnectionGate;
  readonly exchange: Exchange;
  readonly classify: (text: Uint8Array) => CommandFacts;
  /** The same, for texts that are prepared, and perhaps again and again. */
  readonly classifyParsed: (text: Uint8Array) => CommandFacts;
  /** Hears of the command that people are asked about. */
  readonly listener: ReviewListener;
  /** False: the client is not there any more, so that nobody is asked. */
  readonly mayWait: () => boolean;
  /** Null: nothing is masked. */
  readonly masking: ResultMasking | null;
  /** The message that waits for masking should come again. */
  readonly again: () => void;
}

/** Prepared statements of a connection: each costs memory here, and far more at the target. */
const statementsLimit = 65_536;
const S = 0x53, P = 0x50; // prettier-ignore

export class Commands {
  readonly #gate: ConnectionGate;
  readonly #exchange: Exchange;
  readonly #options: CommandsOptions;
  /** Of the message that was refused last. */
  refusal: Refusal | null = null;
  /** The relay's own question for the columns of a portal that the client executes without having asked. */
  inquiry: Buffer | null = null;
  /** Segment in which a message of the extended protocol was refused last. */
  #refusedSegment = -1;
  /** Of a command that waits and comes again; 0: none. */
  #number = 0;
  /** People are asked about this one. */
  #held: GivenCommand | null = null;
  /** For the message that comes next, which is the held one. */
  #ruling: Ruling | null = null;
  /** What was ruled on, as it was shown. */
  #ruledOn: GivenCommand | null = null;
  /** As told to the client; null when it was not. */
  #review: string | null = null;
  /** Named statements up to this one may stand for something else by now: SQL that cannot be seen through ran since. */
  #suspectUpTo = 0;
  /** Such SQL ran, and may have opened cursors. */
  #ranCode = false;
  #lastStatement = 0;

  constructor(options: CommandsOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#exchange = options.exchange;
  }

  /** The command that people are asked about; 0: none. */
  get held(): number {
    return this.#held?.command ?? 0;
  }

  /** A command that people are or were asked about has not gone yet. */
  get pending(): boolean {
    return this.#held !== null || this.#ruledOn !== null;
  }

  /** The review of the held command, as the client was told. */
  told(review: string): void {
    this.#review = review;
  }

  /** The held message comes again next, and this is what becomes of it. */
  ruled(ruling: Ruling): void {
    this.#number = this.held;
    this.#ruledOn = this.#held;
    this.#held = null;
    this.#ruling = ruling;
  }

  /** The held command is given up, and its message does not come again. */
  leave(why: 'disconnected' | 'session-ended'): void {
    const command = (this.#held ?? this.#ruledOn)?.command;
    if (command === undefined) return;
    if (this.#held !== null) this.#gate.withdraw(command, why);
    this.#held = null;
    this.#ruledOn = null;
    this.#gate.outcome(command, { kind: 'cancelled', tag: null, rows: 0, errorCode: cancelledSqlstate });
  }

  query(bytes: Buffer, body: number, end: number): Passage {
    const text = bytes.subarray(body, end - 1);
    if (bytes.indexOf(0, body) !== end - 1) throw malformed();
    const command = this.#nextCommand();
    const passage = this.#decide(command, text, null, this.#options.classify(text), Slot.refusedQuery);
    if (passage !== Passage.forward) return passage;
    this.#exchange.started(command, mightRename(text) ? deallocatedName(text) : undefined);
    this.#exchange.statements.mightRename();
    this.#exchange.portals.clear();
    this.#exchange.forwarded(Slot.query, command);
    return Passage.forward;
  }

  parse(bytes: Buffer, body: number, end: number): Passage {
    const { statement: name, text, parameterTypes } = decodeParse(bytes, body, end);
    checkName(name, 0, name.length);
    const { statements } = this.#exchange;
    if (!statements.mayParse(name) && statements.unsettled) return Passage.wait;
    if (statements.size >= statementsLimit && name.length > 0) {
      return this.refuse(Slot.refusedExtended, tooManyStatements(statementsLimit));
    }
    const facts = this.#options.classifyParsed(text);
    const statement = this.#gate.statement(text, parameterTypes, facts);
    this.#lastStatement = statement;
    this.#options.masking?.copies.statement(statement, text, facts);
    if (mightRename(text)) this.#exchange.renaming.set(statement, deallocatedName(text));
    const hidden = hiddenSqlOf(facts);
    if (hidden !== null) this.#exchange.hiddenSql.set(statement, hidden);
    statements.parse(name, statement);
    this.#exchange.forwarded(Slot.parse, statement);
    return Passage.forward;
  }

  bind(bytes: Buffer, body: number, end: number): Passage {
    const portalEnd = terminator(bytes, body, end);
    const nameEnd = terminator(bytes, portalEnd + 1, end);
    checkName(bytes, body, portalEnd);
    checkName(bytes, portalEnd + 1, nameEnd);
    const found = this.#find(bytes, portalEnd + 1, nameEnd);
    if (found === 'unsettled') return Passage.wait;
    const parameters = bytes.subarray(nameEnd + 1, end);
    const command = this.#nextCommand();
    let passage: Passage;
    if (found === 'unknown') {
      const text = executeText(bytes.toString('latin1', portalEnd + 1, nameEnd));
      const facts = this.#options.classify(text);
      passage = this.#decide(command, text, parameters, facts, Slot.refusedExtended);
    } else {
      const suspect = found <= this.#suspectUpTo && nameEnd > portalEnd + 1;
      const facts = suspect ? factsOfSuspect(this.#gate.factsOf(found)) : null;
      passage = this.#decide(command, found, parameters, facts, Slot.refusedExtended);
    }
    if (passage !== Passage.forward) return passage;
    const { renaming } = this.#exchange;
    const renames = found !== 'unknown' && renaming.size > 0 ? renaming.get(found) : undefined;
    this.#exchange.started(command, renames);
    const before = this.#exchange.portals.bind(bytes, body, portalEnd, command);
    if (before !== 0) this.#exchange.replaces(before, command);
    this.#exchange.forwarded(Slot.bind, command);
    return Passage.forward;
  }

  #find(bytes: Buffer, start: number, end: number): Found {
    const { statements } = this.#exchange;
    const found = statements.find(bytes, start, end);
    if (found !== 'unsettled' || !this.#exchange.settled) return found;
    statements.settled();
    return statements.find(bytes, start, end);
  }

  execute(bytes: Buffer, body: number, end: number): Passage {
    const nameEnd = terminator(bytes, body, end);
    if (nameEnd + 5 !== end) throw malformed();
    checkName(bytes, body, nameEnd);
    const { renamers, hiding } = this.#exchange;
    let command = this.#exchange.portals.find(bytes, body, nameEnd);
    let renames = renamers.size > 0 && renamers.has(command);
    if (command === 0 && this.#refusedSegment !== this.#exchange.statements.segment) {
      // A cursor that SQL declared, or one that is not there: a command of its own. Behind a refusal the target skips
      // everything up to Sync.
      command = this.#nextCommand();
      const text = fetchText(bytes.toString('latin1', body, nameEnd), bytes.readInt32BE(nameEnd + 1));
      const facts = this.#options.classify(text);
      const passage = this.#decide(command, text, null, facts, Slot.refusedExtended);
      if (passage !== Passage.forward) return passage;
      this.#exchange.started(command);
      renames = true; // it may be a portal that does, and was forgotten since
    }
    if (renames) this.#exchange.statements.mightRename();
    const hidden = hiding.size === 0 ? undefined : hiding.get(command);
    const runsCode = hidden !== undefined && this.#runs(hidden);
    if (renames || runsCode) this.#exchange.portals.clearNamed(command);
    const inquires = this.#inquires(command, bytes, body, nameEnd);
    this.#exchange.forwarded(Slot.execute, command);
    return inquires ? Passage.describe : Passage.forward;
  }

  describe(bytes: Buffer, body: number, end: number): Passage {
    checkNamed(bytes, body, end);
    const command = bytes[body] === P ? this.#exchange.portals.find(bytes, body + 1, end - 1) : 0;
    if (command !== 0) this.#options.masking?.asked(command);
    this.#exchange.forwarded(Slot.describe, command);
    return Passage.forward;
  }

  /** What is masked must be described. False: the client has asked, or nothing is masked. */
  #inquires(command: number, bytes: Buffer, name: number, nameEnd: number): boolean {
    const { masking } = this.#options;
    if (masking === null || command === 0 || !masking.mustAsk(command)) return false;
    this.inquiry = encodeMessage('D', Buffer.from('P'), bytes.subarray(name, nameEnd + 1));
    masking.asked(command);
    this.#exchange.forwarded(Slot.ownDescribe, command);
    return true;
  }

  close(bytes: Buffer, body: number, end: number): Passage {
    checkNamed(bytes, body, end);
    checkName(bytes, body + 1, end - 1);
    if (bytes[body] === S) {
      const token = this.#exchange.statements.close(bytes.subarray(body + 1, end - 1));
      this.#exchange.forwarded(Slot.close, token);
    } else {
      this.#exchange.forwarded(Slot.close, this.#exchange.portals.close(bytes, body + 1, end - 1));
    }
    return Passage.forward;
  }

  functionCall(bytes: Buffer, body: number, end: number): Passage {
    if (end - body < 8) throw malformed();
    const command = this.#nextCommand();
    const text = Buffer.from(`fastpath ${bytes.readUInt32BE(body)}`);
    const facts = this.#options.classify(text);
    const passage = this.#decide(command, text, bytes.subarray(body + 4, end), facts, Slot.refusedQuery);
    if (passage !== Passage.forward) return passage;
    this.#exchange.started(command);
    this.#exchange.forwarded(Slot.functionCall, command);
    return Passage.forward;
  }

  /** A command that waited comes again under its number. */
  #nextCommand(): number {
    const waited = this.#number;
    this.#number = 0;
    return waited === 0 ? this.#gate.nextCommand() : waited;
  }

  /** Asks the gate. `facts`: null for a statement that does what its own facts say. */
  #decide(
    command: number,
    text: Uint8Array | number,
    parameters: Buffer | null,
    facts: CommandFacts | null,
    slot: RefusedSlot,
  ): Passage {
    const { masking, again } = this.#options;
    const readiness = masking === null ? 'ready' : masking.copies.prepare(command, text, facts, again);
    if (readiness === 'wait') {
      this.#number = command;
      return Passage.lookup;
    }
    const ruling =
      this.#ruling === null
        ? this.#gate.command(command, text, parameters, facts)
        : this.#takeRuling(text, parameters);
    if (ruling.kind === 'allow' && readiness !== 'ready') return this.#unmaskable(command, slot, readiness);
    switch (ruling.kind) {
      case 'allow': {
        const hidden = facts === null ? this.#hiddenSqlOf(text) : hiddenSqlOf(facts);
        if (hidden === null) return Passage.forward;
        this.#exchange.hiding.set(command, hidden);
        this.#runs(hidden);
        return Passage.forward;
      }
      case 'deny':
        this.#gate.outcome(command, { kind: 'blocked', tag: null, rows: 0, errorCode: deniedSqlstate });
        return this.refuse(slot, denied(ruling, this.#toldReview()));
      case 'cancel':
        this.#toldReview();
        this.#gate.outcome(command, { kind: 'cancelled', tag: null, rows: 0, errorCode: cancelledSqlstate });
        return this.refuse(slot, cancelled());
      case 'review':
        return this.#ask({ command, text, parameters, facts });
      default:
        return ruling satisfies never;
    }
  }

  /** It was allowed, and what it would deliver could not be masked. */
  #unmaskable(command: number, slot: RefusedSlot, why: PostgresError): Passage {
    this.#gate.outcome(command, { kind: 'blocked', tag: null, rows: 0, errorCode: why.sqlstate });
    return this.refuse(slot, encodeErrorResponse('ERROR', peerError(why)));
  }

  /** @throws PostgresError for another command than the one that was shown, which would be a fault of this program */
  #takeRuling(text: Uint8Array | number, parameters: Buffer | null): Ruling {
    const ruling = this.#ruling!;
    const shown = this.#ruledOn!;
    this.#ruling = null;
    this.#ruledOn = null;
    if (!isSame(shown.text, text) || !isSame(shown.parameters, parameters))
      throw new PostgresError('postgres-unexpected-message', 'another command than the one that was held');
    return ruling;
  }

  #ask(given: GivenCommand): Passage {
    const exchange = this.#exchange;
    if (!exchange.settled) {
      this.#number = given.command;
      return Passage.settle;
    }
    exchange.checkNoCopy();
    if (exchange.skipping !== null) {
      this.#refusedSegment = exchange.statements.segment;
      return this.#withhold(given, exchange.skipping, Passage.drop);
    }
    if (!this.#options.mayWait()) return this.#withhold(given, cancelledSqlstate, Passage.end);
    const { command, text, parameters, facts } = given;
    // The bytes are the client's connection's again when this returns.
    this.#held = {
      command,
      text: typeof text === 'number' ? text : Buffer.from(text),
      parameters: parameters === null ? null : Buffer.from(parameters),
      facts,
    };
    this.#gate.review(this.#held, this.#options.listener);
    return Passage.review;
  }

  #withhold(given: GivenCommand, errorCode: string, passage: Passage): Passage {
    this.#gate.withheld(given);
    this.#gate.outcome(given.command, { kind: 'cancelled', tag: null, rows: 0, errorCode });
    return passage;
  }

  #toldReview(): string | null {
    const review = this.#review;
    this.#review = null;
    return review;
  }

  #hiddenSqlOf(text: Uint8Array | number): HiddenSql | null {
    const { hiddenSql } = this.#exchange;
    return hiddenSql.size > 0 && typeof text === 'number' ? (hiddenSql.get(text) ?? null) : null;
  }

  /** A command is planned or executed that may run SQL that cannot be seen. False: it does not. */
  #runs(hidden: HiddenSql): boolean {
    this.#ranCode ||= hidden === 'code';
    if (this.#ranCode) this.#suspectUpTo = this.#lastStatement;
    return this.#ranCode;
  }

  /** Whatever the message at hand is, it is refused. */
  refuse(slot: RefusedSlot, error: Buffer): Passage {
    if (slot === Slot.refusedExtended) this.#refusedSegment = this.#exchange.statements.segment;
    this.refusal = { slot, error };
    return Passage.refuse;
  }
}

export const malformed = (): PostgresError =>
  new PostgresError('postgres-malformed-message', 'invalid frontend message');

/** Position of the NUL that ends a string, within the message. */
function terminator(bytes: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0) return i;
  throw malformed();
}

/** Describe and Close: `S` or `P`, then a name to the end. */
function checkNamed(bytes: Buffer, body: number, end: number): void {
  const kind = bytes[body];
  if ((kind !== S && kind !== P) || terminator(bytes, body + 1, end) !== end - 1) throw malformed();
}

function isSame(a: Uint8Array | number | null, b: Uint8Array | number | null): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for what is not known by its text: a statement that SQL prepared, and a cursor that SQL declared. */
const executeText = (name: string): Buffer => Buffer.from(`EXECUTE ${quoted(name)}`, 'latin1');
const fetchText = (name: string, rows: number): Buffer =>
  Buffer.from(`FETCH ${rows > 0 ? rows : 'ALL'} FROM ${quoted(name)}`, 'latin1');
