/**
 * A program with a terminal, above all a shell: each line that is entered is a command of its own, decided before its Enter
 * passes. Output is masked. Of what is typed the record has the keys that are no characters: passwords are among the others.
 */
import type { FinalVerdict, GivenCommand } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Inspection, InspectionEnds } from './inspection.ts';
import { LineFacts } from './line-facts.ts';
import type { MaskedStream } from './masking/masked-stream.ts';
import { maskedOutput } from './output-inspection.ts';
import type { Window } from './program.ts';
import { TerminalLines } from './terminal/lines.ts';
import type { CommandLine, LineOwner } from './terminal/line-owner.ts';
import { approvedNotice, deniedNotice, heldNotice, withdrawnNotice } from './terminal/notices.ts';
import { InputRedactor } from './terminal/redacted-input.ts';

/** Typing that waits for a decision; beyond it the client has to wait too. */
const waitingBytes = 64 * 1024;

export class TerminalInspection implements Inspection, LineOwner {
  readonly #ends: InspectionEnds;
  readonly #facts: LineFacts;
  readonly #lines: TerminalLines;
  readonly #typed = new InputRedactor();
  readonly #masked: MaskedStream | null;
  /** Lines that were let through and have not ended, with their commands. */
  readonly #running = new Map<number, number>();
  #held: { readonly line: number; readonly command: number } | null = null;
  #over = false;

  constructor(ends: InspectionEnds, window: Window, classify: (text: Uint8Array) => CommandFacts) {
    this.#ends = ends;
    this.#facts = new LineFacts(classify);
    this.#lines = new TerminalLines(window, { now: ends.now, after: ends.after }, this);
    const { masking } = ends.gate;
    this.#masked =
      masking?.detects === true ? maskedOutput(ends, 'output', (bytes) => this.#lines.output(bytes)) : null;
    this.#masked?.resize(window.columns);
  }

  get blocked(): boolean {
    return this.#lines.waitingBytes > waitingBytes;
  }

  fromClient(chunk: Buffer): void {
    this.#ends.gate.input(this.#ends.command, this.#typed.redact(chunk));
    this.#masked?.typed(chunk.length);
    this.#lines.input(chunk);
  }

  fromTarget(chunk: Buffer): void {
    if (this.#masked === null) this.#show(chunk);
    else this.#masked.push(chunk);
  }

  /** A terminal has one stream; what comes beside it all the same is shown there. */
  errorFromTarget(chunk: Buffer): void {
    this.fromTarget(chunk);
  }

  clientEnded(): void {}

  targetEnded(): null {
    this.abandoned();
    return null;
  }

  abandoned(): void {
    if (this.#over) return;
    this.#over = true;
    this.#masked?.end();
    this.#lines.close();
    if (this.#held !== null) {
      this.#ends.gate.withdraw(this.#held.command, 'disconnected');
      this.#ended(this.#held.command, 'cancelled', 'disconnected');
    }
    this.#endRunning();
  }

  resize({ columns, rows }: Window): void {
    this.#lines.resize(columns, rows);
    this.#masked?.resize(columns);
  }

  // ---- of the lines ----

  forward(bytes: Buffer): void {
    this.#ends.toTarget(bytes);
  }

  line(line: CommandLine): 'allow' | 'deny' | 'wait' {
    this.#endRunning();
    if (line.text.trim() === '' && !line.hidden) return 'allow';
    const { gate, command: parent } = this.#ends;
    const given = { command: gate.nextCommand(), ...this.#facts.of(line), parameters: null };
    gate.origin(given.command, { parent, how: line.how });
    const verdict = gate.command(given.command, given.text, null, given.facts);
    if (verdict.kind === 'review') return this.#hold(line, given);
    if (verdict.kind === 'allow') {
      this.#running.set(line.line, given.command);
      return 'allow';
    }
    this.#denied(given.command, verdict);
    return 'deny';
  }

  withdrawn(line: number): void {
    const held = this.#held;
    if (held?.line !== line) return;
    this.#held = null;
    this.#ends.gate.withdraw(held.command, 'cancelled');
    this.#ended(held.command, 'cancelled', 'cancelled');
    this.#say(withdrawnNotice());
  }

  finished(line: number, exitCode: number | null): void {
    const command = this.#running.get(line);
    if (command === undefined) return;
    this.#running.delete(line);
    const tag = exitCode === null ? null : `exit ${exitCode}`;
    const kind = exitCode === null ? 'unknown' : exitCode === 0 ? 'succeeded' : 'failed';
    this.#ends.gate.outcome(command, { kind, tag, rows: 0, errorCode: kind === 'failed' ? tag : null });
  }

  /** It ran already: policy can only say that it should not have. */
  differs(line: number | null, text: string, how: CommandLine['how']): void {
    const { gate, command: parent } = this.#ends;
    const told = { line: line ?? 0, text, how, exact: false, hidden: false, prompt: '' };
    const given = { command: gate.nextCommand(), ...this.#facts.of(told), parameters: null };
    gate.origin(given.command, { parent, how });
    const verdict = gate.command(given.command, given.text, null, given.facts);
    if (verdict.kind === 'review') gate.withheld(given);
    this.#ended(given.command, 'unknown', verdict.kind === 'allow' ? null : 'ran-before-its-decision');
  }

  drained(): void {}

  #hold(line: CommandLine, given: GivenCommand): 'wait' {
    const { command } = given;
    const { gate, awake } = this.#ends;
    this.#held = { line: line.line, command };
    gate.review(given, {
      held: (notice) => awake(() => this.#say(heldNotice(notice))),
      decided: (verdict) => awake(() => this.#decided(line.line, command, verdict)),
    });
    return 'wait';
  }

  #decided(line: number, command: number, verdict: FinalVerdict): void {
    if (this.#held?.command !== command) return;
    this.#held = null;
    if (verdict.kind === 'deny') {
      this.#denied(command, verdict);
      this.#lines.refuse();
      return;
    }
    this.#running.set(line, command);
    this.#say(approvedNotice());
    this.#lines.proceed();
  }

  #denied(command: number, verdict: Extract<FinalVerdict, { kind: 'deny' }>): void {
    this.#say(deniedNotice(verdict.policies, verdict.hint));
    this.#ended(command, 'blocked', 'policy');
  }

  /** A new prompt took a line: those before it are over, and nobody said how. */
  #endRunning(): void {
    for (const command of this.#running.values()) this.#ended(command, 'unknown', null);
    this.#running.clear();
  }

  #ended(command: number, kind: 'blocked' | 'cancelled' | 'unknown', errorCode: string | null): void {
    this.#ends.gate.outcome(command, { kind, tag: null, rows: 0, errorCode });
  }

  #say(notice: Buffer): void {
    this.#show(notice);
  }

  #show(bytes: Buffer): void {
    const { gate, command, toClient } = this.#ends;
    toClient(gate.output(command, bytes));
    this.#lines.output(bytes);
  }
}
