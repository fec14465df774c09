/** Detectors that an operator writes in the configuration: a pattern or a list of words; see docs/masking.md. */
import type { FindingList } from '../findings.ts';

/** Told of each match in order of its end; matches may overlap. */
export type OnMatch = (start: number, end: number) => void;

/** Shared by all sessions; keeps no state between values. */
export interface CustomAutomaton {
  /** Reads a value; time per byte is bounded by a constant of the automaton, whatever the bytes are. */
  find(bytes: Uint8Array, start: number, end: number, onMatch: OnMatch): void;
  /** Where a match may begin that goes on, or is told by what stands, behind `end`; `end` when none may. */
  tail(bytes: Uint8Array, start: number, end: number): number;
}

/** An automaton with the rule that its matches fall under. */
export class CustomScan {
  readonly #automaton: CustomAutomaton;
  readonly #rule: number;

  constructor(automaton: CustomAutomaton, rule: number) {
    this.#automaton = automaton;
    this.#rule = rule;
  }

  /** Adds what it finds in value number `value` to `findings`. */
  find(bytes: Uint8Array, start: number, end: number, value: number, findings: FindingList): void {
    this.#automaton.find(bytes, start, end, (from, to) => findings.add(from, to, this.#rule, value));
  }

  /** See `CustomAutomaton`. */
  tail(bytes: Uint8Array, start: number, end: number): number {
    return this.#automaton.tail(bytes, start, end);
  }
}
