/**
 * From a candidate's place to a confirmed finding: the byte there says which detectors to ask; the longest match counts.
 * Nothing is allocated.
 */
import { afterEscape, classes, digit, isDigit, letter, wordAt, wordBefore } from './bytes.ts';
import { cardEnd } from './card.ts';
import { detectorId as id, detectorNames } from './catalog.ts';
import { DigitGroups } from './digit-groups.ts';
import { confirmEmail, confirmEncodedEmail } from './email.ts';
import { confirmIpv6, ipv4End } from './ip-address.ts';
import { confirmJwt } from './jwt.ts';
import type { Confirm, Match } from './match.ts';
import * as ids from './national-ids.ts';
import type { IdEnd } from './national-ids.ts';
import { isIdWord, isMark } from '../scan/anchors.ts';
import { confirmInternational, phoneEnd } from './phone.ts';
import { confirmPrivateKey } from './private-key.ts';
import { confirmParameterPassword, confirmSecret, confirmUrlPassword } from './secrets.ts';
import { confirmToken } from './tokens.ts';
import { confirmCodiceFiscale, confirmEsNie, confirmIban, confirmUkNino, esDniEnd } from './word-ids.ts';

const groups = new DigitGroups();

/** Identifiers of digits, and the lengths that their first group may have. */
const numberIds: readonly (readonly [number, IdEnd, readonly number[]])[] = [
  [id['us-ssn'], ids.usSsn, [3, 9]],
  [id['uk-nhs'], ids.ukNhs, [3, 10]],
  [id['de-steuer-id'], ids.deSteuerId, [2, 11]],
  [id['fr-nir'], ids.frNir, [1, 13, 15]],
  [id['nl-bsn'], ids.nlBsn, [9]],
  [id['pl-pesel'], ids.plPesel, [11]],
  [id['se-personnummer'], ids.sePersonnummer, [6, 8, 10, 12]],
  [id['br-cpf'], ids.brCpf, [3, 11]],
  [id['in-aadhaar'], ids.inAadhaar, [4, 12]],
];
const longestFirstGroup = 15;

interface Asked<Function> {
  readonly detector: number;
  readonly confirm: Function;
}
const wordIds: readonly Asked<Confirm>[] = [
  { detector: id['iban'], confirm: confirmIban },
  { detector: id['uk-nino'], confirm: confirmUkNino },
  { detector: id['es-dni'], confirm: confirmEsNie },
  { detector: id['it-codice-fiscale'], confirm: confirmCodiceFiscale },
];
const markDetectors: readonly Asked<Confirm>[] = [
  { detector: id['jwt'], confirm: confirmJwt },
  { detector: id['token'], confirm: confirmToken },
  { detector: id['parameter-password'], confirm: confirmParameterPassword },
  { detector: id['secret'], confirm: confirmSecret },
];

/** Asks the detectors that have a rule. Not reentrant: one object for each session, one caller at a time. */
export class Candidates {
  /** The rule of each detector; -1: not asked. */
  readonly #rules: Int32Array;
  readonly #found: Match = { start: 0, end: 0 };
  readonly #tried: Match = { start: 0, end: 0 };
  /** By length of the first group. */
  readonly #numberIds: readonly (readonly Asked<IdEnd>[])[];
  readonly #wordIds: readonly Asked<Confirm>[];
  readonly #marks: readonly Asked<Confirm>[];
  #detector = -1;

  /** @param rules by index of `detectorNames` */
  constructor(rules: Int32Array) {
    this.#rules = rules;
    const wanted = ({ detector }: Asked<unknown>): boolean => this.#wants(detector);
    this.#numberIds = Array.from({ length: longestFirstGroup + 1 }, (_, length) =>
      numberIds
        .filter(([detector, , lengths]) => this.#wants(detector) && lengths.includes(length))
        .map(([detector, confirm]) => ({ detector, confirm })),
    );
    this.#wordIds = wordIds.filter(wanted);
    this.#marks = markDetectors.filter(wanted);
  }

  /** What `confirm` found last. */
  get match(): Readonly<Match> {
    return this.#found;
  }

  /** The rule of what `confirm` found last. */
  get rule(): number {
    return this.#rules[this.#detector]!;
  }

  /** Name of the detector of what `confirm` found last. */
  get detector(): string {
    return detectorNames[this.#detector]!;
  }

  /** Does something sensitive have its anchor at `at` of the value `bytes[start, end)`? */
  confirm(bytes: Uint8Array, at: number, start: number, end: number): boolean {
    this.#detector = -1;
    const byte = bytes[at]!;
    const kind = classes[byte]!;
    if ((kind & digit) !== 0) this.#number(bytes, at, start, end);
    else if (byte === 0x40) {
      if (this.#wants(id['email']) && confirmEmail(bytes, at, start, end, this.#tried))
        this.#take(id['email'], this.#tried.start, this.#tried.end);
      return this.#detector !== -1;
    } else if (byte === 0x2b) this.#try(id['phone'], confirmInternational, bytes, at, start, end);
    else if (byte === 0x25) this.#try(id['email'], confirmEncodedEmail, bytes, at, start, end);
    else if (byte === 0x28) this.#number(bytes, at + 1, start, end);
    else if (byte === 0x2d) this.#try(id['private-key'], confirmPrivateKey, bytes, at, start, end);
    else if (byte === 0x3a) {
      this.#try(id['url-password'], confirmUrlPassword, bytes, at, start, end);
      this.#try(id['ipv6'], confirmIpv6, bytes, at, start, end);
    } else if ((kind & letter) !== 0 && this.#wordIds.length > 0 && isIdWord(bytes, at, start, end))
      this.#tryAll(this.#wordIds, bytes, at, start, end);
    if (this.#marks.length > 0 && (kind & (letter | digit)) !== 0 && isMark(bytes, at, end))
      this.#tryAll(this.#marks, bytes, at, start, end);
    return this.#detector !== -1;
  }

  #wants(detector: number): boolean {
    return this.#rules[detector] !== -1;
  }

  #tryAll(asked: readonly Asked<Confirm>[], bytes: Uint8Array, at: number, start: number, end: number): void {
    for (let index = 0; index < asked.length; index++) {
      const { detector, confirm } = asked[index]!;
      if (confirm(bytes, at, start, end, this.#tried))
        this.#take(detector, this.#tried.start, this.#tried.end);
    }
  }

  #try(detector: number, confirm: Confirm, bytes: Uint8Array, at: number, start: number, end: number): void {
    if (this.#wants(detector) && confirm(bytes, at, start, end, this.#tried))
      this.#take(detector, this.#tried.start, this.#tried.end);
  }

  /** Keeps the longest; of equals the first in the catalog. */
  #take(detector: number, start: number, end: number): void {
    const length = end - start;
    const held = this.#found.end - this.#found.start;
    if (this.#detector !== -1 && (length < held || (length === held && detector > this.#detector))) return;
    this.#detector = detector;
    this.#found.start = start;
    this.#found.end = end;
  }

  #number(bytes: Uint8Array, anchor: number, start: number, end: number): void {
    const at = afterEscape(bytes, anchor, start);
    if (at >= end || (classes[bytes[at]!]! & digit) === 0 || wordBefore(bytes, at, start)) return;
    if (at - 1 > start && bytes[at - 1] === 0x2e && isDigit(bytes[at - 2])) return; // behind a decimal point
    if (isDate(bytes, at, end)) return;
    groups.parse(bytes, at, end);
    const first = groups.lengths[0]!;
    if ((first === 4 || first >= 13) && this.#wants(id['card']))
      this.#takeNumber(id['card'], cardEnd(bytes, start, groups), bytes, end);
    if (first <= longestFirstGroup) {
      const asked = this.#numberIds[first]!;
      for (let index = 0; index < asked.length; index++) {
        const { detector, confirm } = asked[index]!;
        this.#takeNumber(detector, confirm(bytes, start, groups), bytes, end);
      }
    }
    if (first === 8 && this.#wants(id['es-dni']))
      this.#takeNumber(id['es-dni'], esDniEnd(bytes, end, groups), bytes, end);
    if (groups.count >= 4 && this.#wants(id['ipv4']))
      this.#takeNumber(id['ipv4'], ipv4End(bytes, start, end, groups), bytes, end);
    if (this.#wants(id['phone'])) this.#phone(bytes, start, end);
  }

  #phone(bytes: Uint8Array, start: number, end: number): void {
    const first = groups.starts[0]!;
    const after = phoneEnd(bytes, start, end, groups);
    if (after === -1 || wordAt(bytes, after, end)) return;
    const bracket =
      first > start && bytes[first - 1] === 0x28 && after > first + 4 && bytes[first + 3] === 0x29;
    this.#take(id['phone'], bracket ? first - 1 : first, after);
  }

  #takeNumber(detector: number, after: number, bytes: Uint8Array, end: number): void {
    if (after !== -1 && !wordAt(bytes, after, end)) this.#take(detector, groups.starts[0]!, after);
  }
}

/** `2026-11-22`: the most frequent number of several groups, and none that is sensitive begins like it. */
function isDate(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + 10 > end || bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) return false;
  if (bytes[at] !== 0x31 && bytes[at] !== 0x32) return false;
  for (let index = 1; index < 10; index++)
    if (index !== 4 && index !== 7 && !isDigit(bytes[at + index])) return false;
  return at + 10 === end || !isDigit(bytes[at + 10]);
}
