/**
 * The bookkeeping of one connection after start-up: attributes every answer of the target to the command it belongs to
 * and gives each command exactly one outcome. Both directions report here; it forwards nothing itself.
 *
 * A command is a simple query, a FunctionCall, or a Bind: the portal that Bind makes is decided and recorded with its
 * parameters before the target sees them, and all Executes of that portal are one command. A portal that is never
 * executed, or never to its end, ends with its transaction: succeeded, without a tag.
 *
 * Invariant: `#open` holds the commands without an outcome; an outcome is given by taking one out.
 */
import type { ConnectionGate } from '../../gate/gate.ts';
import type { OutcomeKind } from '../../model/outcome.ts';
import { Copying, intruder } from './copying.ts';
import { cancelledSqlstate, PostgresError } from './error.ts';
import { OpenCommands } from './open-commands.ts';
import { Pipeline, Slot } from './pipeline.ts';
import { Portals } from './portals.ts';
import { PreparedStatements } from './prepared-statements.ts';
import type { HiddenSql } from './suspect-statements.ts';

/** No more may wait for answers; the target flushes its answers long before, so that this always drains. */
const pipelineBound = 65_536;
const tagsBound = 4096;

export class Exchange {
  readonly statements: PreparedStatements;
  readonly portals = new Portals();
  readonly pipeline = new Pipeline();
  readonly #gate: ConnectionGate;
  /** Rows delivered in earlier Executes, times two, plus one once its Bind was answered. */
  readonly #open = new OpenCommands();
  /** Errors that stand in for the target's own, in order of the refused slots. */
  readonly #refusals: Buffer[] = [];
  /** Statements that might rename others when they run, with the name that they deallocate if that is all they do. */
  readonly renaming = new Map<number, string | null>();
  /** Statements that may run SQL that cannot be seen. */
  readonly hiddenSql = new Map<number, HiddenSql>();
  /** Open commands that may do so, or rename (with the same name), whenever they are executed. */
  readonly hiding = new Map<number, HiddenSql>();
  readonly renamers = new Map<number, string | null>();
  /** Commands whose portal the target drops when it answers the Bind of the key. */
  readonly #replaced = new Map<number, number>();
  /** Of the command that is being answered. */
  rows = 0;
  #tags = '';
  #failure: string | null = null;
  /** Something came that ReadyForQuery alone may follow, of a message that it answers. */
  #answered = false;
  /** An error of the extended protocol: the target skips everything up to the next Sync. */
  #skipping: string | null = null;
  readonly #copying = new Copying();
  /** The last command that completed: it fails yet if its commit at Sync does. */
  #completed = 0;
  #completedTag = '';
  #completedRows = 0;

  constructor(gate: ConnectionGate) {
    this.#gate = gate;
    this.statements = new PreparedStatements((statement) => {
      gate.forgetStatement(statement);
      if (this.renaming.size > 0) this.renaming.delete(statement);
      if (this.hiddenSql.size > 0) this.hiddenSql.delete(statement);
    });
  }

  get full(): boolean {
    return this.pipeline.length >= pipelineBound;
  }

  /** The target has something to do, or to finish, for this client. */
  get busy(): boolean {
    return this.pipeline.length > 0;
  }

  /** Nothing that was forwarded will be answered any more; or, in a COPY, not before the client has sent more. */
  get settled(): boolean {
    return this.#kind() === Slot.none || this.#copying.direction === 'in';
  }

  /** Results are on their way that somebody must take. */
  get producing(): boolean {
    return this.rows > 0 || this.#copying.direction === 'out';
  }

  /** The error after which the target skips everything up to Sync; null: it skips nothing. */
  get skipping(): string | null {
    return this.#skipping;
  }

  get copyingOut(): boolean {
    return this.#copying.direction === 'out';
  }

  /** The command that the next answer belongs to; 0 when none is known. */
  get current(): number {
    const kind = this.pipeline.kind();
    return kind === Slot.query ||
      kind === Slot.execute ||
      kind === Slot.bind ||
      kind === Slot.functionCall ||
      kind === Slot.ownDescribe
      ? this.pipeline.value()
      : 0;
  }

  /** The command that ReadyForQuery would answer; 0: it would be a Sync, perhaps one that a COPY was thought to have read. */
  get ready(): number {
    return this.#ofSwallowedSync(this.#kind()) ? 0 : this.current;
  }

  /** Every message that ReadyForQuery answers is answered otherwise before, except Sync. */
  #ofSwallowedSync(kind: number): boolean {
    return this.#copying.syncs > 0 && kind !== Slot.sync && !this.#answered;
  }

  /** The command that CopyData of the client belongs to: the one that copies, or the last one sent. */
  get copyCommand(): number {
    for (let i = this.#copying.direction === 'in' ? 0 : this.pipeline.length - 1; i >= 0; i--) {
      const kind = this.pipeline.kind(i);
      if (kind === Slot.query || kind === Slot.execute) return this.pipeline.value(i);
    }
    return 0;
  }

  // ---- what is forwarded ----

  /** A command was allowed; `renames`: it might, and this is the one name that it drops. */
  started(command: number, renames?: string | null): void {
    this.#open.add(command, 0);
    if (renames !== undefined) this.renamers.set(command, renames);
  }

  /** A Bind of `command` makes the portal of `before` anew. */
  replaces(before: number, command: number): void {
    if (this.#open.has(before)) this.#replaced.set(command, before);
  }

  /** A message goes to the target. */
  forwarded(kind: Slot, value: number): void {
    if (this.#copying.direction === 'in') this.#copying.forwarded(kind);
    else if (kind === Slot.copyEnd && this.pipeline.length === 0)
      return; // of no copy: the target ignores it
    else if (this.#skipping !== null && this.pipeline.length === 0 && kind !== Slot.sync) {
      this.checkNoCopy();
      this.#skip(kind, value);
    } else {
      this.pipeline.push(kind, value);
      if (
        kind === Slot.sync ||
        kind === Slot.query ||
        kind === Slot.functionCall ||
        kind === Slot.refusedQuery
      )
        this.statements.segment++;
    }
  }

  /** A message that fails goes to the target in place of a refused one; `error` will stand in for the target's. */
  refused(kind: typeof Slot.refusedQuery | typeof Slot.refusedExtended, error: Buffer): void {
    this.#refusals.push(error);
    this.forwarded(kind, 0);
  }

  /**
   * A command is not legal in a COPY FROM: the target may read it as a broken copy, or, when the copy has failed by then, carry
   * it out; and behind one that failed, skip it or, after a Sync that was not read, carry it out. Which could not be told.
   * @throws PostgresError `postgres-unexpected-message`
   */
  checkNoCopy(): void {
    const { direction, syncs } = this.#copying;
    if (direction === 'in' || (syncs > 0 && this.#skipping !== null && this.pipeline.length === 0))
      throw intruder();
  }

  // ---- what the target answers ----

  parseComplete(): void {
    this.#expect(Slot.parse);
    this.statements.parseSucceeded(this.pipeline.value());
    this.pipeline.pop();
  }

  bindComplete(): void {
    this.#expect(Slot.bind);
    const command = this.pipeline.value();
    const rows = this.#open.get(command);
    if (rows !== undefined) this.#open.set(command, rows | 1);
    this.pipeline.pop();
    const before = this.#replaced.size === 0 ? undefined : this.#replaced.get(command);
    if (before === undefined) return;
    this.#replaced.delete(command);
    this.#finish(before, 'succeeded', null, null);
  }

  closeComplete(): void {
    this.#expect(Slot.close);
    const value = this.pipeline.value();
    this.pipeline.pop();
    if (value > 0) this.#finish(value, 'succeeded', null, null);
    else this.statements.closed(value, true);
  }

  /** RowDescription or NoData. False: the relay asked for it, and not the client. */
  described(): boolean {
    const kind = this.#kind();
    if (kind === Slot.query) return true;
    if (kind !== Slot.ownDescribe) this.#expect(Slot.describe);
    this.pipeline.pop();
    return kind !== Slot.ownDescribe;
  }

  /** The command whose columns a RowDescription would tell now; 0: of no command, or of none that is known. */
  get describing(): number {
    const kind = this.#kind();
    return kind === Slot.query || kind === Slot.describe || kind === Slot.ownDescribe
      ? this.pipeline.value()
      : 0;
  }

  /** Number of the next row of the current command, from 0, over all Executes of its portal. */
  get rowNumber(): number {
    return this.rows + Math.floor((this.#open.get(this.current) ?? 0) / 2);
  }

  parameterDescription(): void {
    this.#expect(Slot.describe);
  }

  /** A row may come now. */
  expectRow(): void {
    const kind = this.#kind();
    if (kind !== Slot.query && kind !== Slot.execute) throw this.#unexpected();
  }

  /** `tag` '' stands for EmptyQueryResponse. */
  commandComplete(tag: string): void {
    const kind = this.#kind();
    const command = this.pipeline.value();
    if (this.#copying.direction === 'out') this.rows += Number(/^COPY (\d{1,15})$/.exec(tag)?.[1] ?? 0);
    if (kind === Slot.query) {
      this.#answered = true;
      this.#addTag(tag);
    } else {
      this.#expect(Slot.execute);
      this.#reportCompleted();
      const earlier = this.#open.get(command);
      if (earlier !== undefined) {
        this.#open.delete(command);
        this.#completed = command;
        this.#completedTag = tag;
        this.#completedRows = this.rows + Math.floor(earlier / 2);
      }
      this.rows = 0;
      this.pipeline.pop();
    }
    if (this.#copying.direction !== 'none' || this.#copying.syncs > 0) this.#copying.completed();
    if (tag.charCodeAt(0) === 0x44 && /^(DEALLOCATE|DISCARD ALL)/.test(tag)) {
      this.statements.dropped(tag === 'DEALLOCATE' ? (this.renamers.get(command) ?? null) : null);
    }
  }

  /** Of a query with very many statements the first tags are kept. */
  #addTag(tag: string): void {
    if (tag === '' || this.#tags.length > tagsBound) return;
    this.#tags = this.#tags === '' ? tag : `${this.#tags}; ${tag}`;
    if (this.#tags.length > tagsBound) this.#tags += '; …';
  }

  portalSuspended(): void {
    this.#expect(Slot.execute);
    const command = this.pipeline.value();
    const earlier = this.#open.get(command);
    if (earlier !== undefined) this.#open.set(command, earlier + 2 * this.rows);
    this.rows = 0;
    this.pipeline.pop();
  }

  functionCallResponse(): void {
    this.#expect(Slot.functionCall);
    this.#answered = true;
  }

  copyInResponse(): void {
    this.expectRow();
    this.statements.answered += this.#copying.begin(this.pipeline);
  }

  copyOutResponse(): void {
    this.expectRow();
    this.#copying.direction = 'out';
  }

  /** Returns the error to deliver instead of the target's, or null for the target's own. */
  errorResponse(sqlstate: string): Buffer | null {
    const kind = this.#kind();
    const value = this.pipeline.value();
    this.#copying.failed(this.pipeline, sqlstate);
    switch (kind) {
      case Slot.none:
        return null; // the server ends the connection for a reason of its own
      case Slot.query:
      case Slot.functionCall:
        this.#failure = sqlstate;
        this.#answered = true;
        return null;
      case Slot.refusedQuery: {
        const error = this.#answered ? null : (this.#refusals.shift() ?? null);
        this.#answered = true;
        return error;
      }
      case Slot.sync:
        this.#reportCompleted(sqlstate);
        return null;
      default:
        this.pipeline.pop();
        return this.#failExtended(kind as Slot, value, sqlstate);
    }
  }

  #failExtended(kind: Slot, value: number, sqlstate: string): Buffer | null {
    let error: Buffer | null = null;
    if (kind === Slot.refusedExtended) error = this.#refusals.shift() ?? null;
    else this.#resolve(kind, value, sqlstate === cancelledSqlstate ? 'cancelled' : 'failed', sqlstate);
    this.rows = 0;
    this.#skipping = sqlstate;
    while (this.pipeline.length > 0 && this.pipeline.kind() !== Slot.sync) {
      const [skipped, of] = [this.pipeline.kind() as Slot, this.pipeline.value()];
      this.pipeline.pop();
      if (segmentEnd(skipped)) this.statements.answered++;
      this.#skip(skipped, of);
    }
    return error;
  }

  /** @throws PostgresError `postgres-unexpected-message` for one that answers nothing */
  readyForQuery(status: number): void {
    const kind = this.#kind();
    if (this.#ofSwallowedSync(kind)) {
      this.#copying.syncs--;
      this.#skipping = null;
      this.#reportCompleted();
      return;
    }
    switch (kind) {
      case Slot.query:
      case Slot.functionCall:
        this.#finishQuery(this.pipeline.value());
        break;
      case Slot.refusedQuery:
        if (!this.#answered) throw this.#unexpected();
        break;
      case Slot.sync:
        break;
      default:
        throw this.#unexpected();
    }
    this.pipeline.pop();
    this.#answered = false;
    this.#skipping = null;
    this.statements.answered++;
    this.#reportCompleted();
    if (status === idle && this.#open.size > 0) this.#endPortals();
  }

  #finishQuery(command: number): void {
    const code = this.#failure;
    if (code === null) this.#finish(command, 'succeeded', this.#tags === '' ? null : this.#tags, null);
    else this.#finish(command, code === cancelledSqlstate ? 'cancelled' : 'failed', this.#tags || null, code);
    this.rows = 0;
    this.#tags = '';
    this.#failure = null;
  }

  /** The transaction is over, and with it every portal. Commands are in order; the first that is not answered ends it. */
  #endPortals(): void {
    for (const command of this.#open.commands()) {
      if (this.#open.get(command)! % 2 === 0) return;
      this.#finish(command, 'succeeded', null, null);
    }
  }

  /** The connection is over: what has no outcome yet is cancelled. */
  abandon(errorCode: string): void {
    this.#reportCompleted();
    // An error that was told already, and after which ReadyForQuery did not come, is what happened.
    if (this.#failure !== null) this.#finishQuery(this.current);
    const running = this.current;
    for (const command of this.#open.commands()) {
      const rows = command === running ? this.rows : 0;
      this.rows = rows;
      this.#finish(command, 'cancelled', null, errorCode);
    }
  }

  /** What the target skips after an error. */
  #skip(kind: Slot, value: number): void {
    this.#resolve(kind, value, 'cancelled', this.#skipping);
  }

  #resolve(kind: Slot, value: number, outcome: OutcomeKind, errorCode: string | null): void {
    switch (kind) {
      case Slot.parse:
        this.statements.parseFailed(value);
        return;
      case Slot.close:
        if (value < 0) this.statements.closed(value, false);
        return;
      case Slot.bind:
        // Whatever the name stood for before may live on.
        this.portals.failed(value);
        this.#replaced.delete(value);
        this.#finish(value, outcome, null, errorCode);
        return;
      case Slot.query:
      case Slot.functionCall:
      case Slot.execute:
      case Slot.ownDescribe:
        this.#finish(value, outcome, null, errorCode);
        return;
      case Slot.refusedQuery:
      case Slot.refusedExtended:
        this.#refusals.shift();
        return;
      case Slot.none:
      case Slot.describe:
      case Slot.sync:
      case Slot.copyEnd:
        return;
      default:
        kind satisfies never;
    }
  }

  #finish(command: number, kind: OutcomeKind, tag: string | null, errorCode: string | null): void {
    const earlier = this.#open.get(command);
    if (earlier === undefined) return;
    this.#open.delete(command);
    this.#forget(command);
    this.#gate.outcome(command, { kind, tag, rows: this.rows + Math.floor(earlier / 2), errorCode });
  }

  #forget(command: number): void {
    if (this.renamers.size > 0) this.renamers.delete(command);
    if (this.hiding.size > 0) this.hiding.delete(command);
  }

  #reportCompleted(errorCode: string | null = null): void {
    const command = this.#completed;
    if (command === 0) return;
    const tag = this.#completedTag;
    const rows = this.#completedRows;
    this.#completed = 0;
    this.#forget(command);
    const kind = errorCode === null ? 'succeeded' : 'failed';
    this.#gate.outcome(command, { kind, tag: tag === '' ? null : tag, rows, errorCode });
  }

  /** The slot that is being answered; CopyDone and CopyFail outside of a copy have no answer. */
  #kind(): number {
    while (this.pipeline.kind() === Slot.copyEnd) this.pipeline.pop();
    return this.pipeline.kind();
  }

  #expect(kind: Slot): void {
    if (this.#kind() !== kind) throw this.#unexpected();
  }

  #unexpected(): PostgresError {
    return new PostgresError(
      'postgres-unexpected-message',
      'the target sent an answer to something that it was not asked',
    );
  }
}

const idle = 0x49;

const segmentEnd = (kind: Slot): boolean =>
  kind === Slot.query || kind === Slot.functionCall || kind === Slot.refusedQuery;
