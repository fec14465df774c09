/**
 * Policy files cut into single policies, each with an id that people and the record can name and the place where it
 * stands. Cedar itself would number them `policy0`, `policy1`, …, so that inserting one renames all that follow.
 *
 * The cut needs the lexical grammar alone (strings, comments, `;`); Cedar then parses every piece, so a wrong cut can
 * only end in an error.
 */
import { policySetTextToParts, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { effects } from '../model/command-facts.ts';
import type { NeededGroup } from '../model/review.ts';
import type { PolicyProblem } from './error.ts';
import { parseReviewRule } from './review-rule.ts';
import type { Action } from './schema.ts';
import { acrsNamed, actionsOf, agesNamed, contextReads, unknownEffects } from './syntax.ts';

/** A policy file as read. */
export interface PolicyText {
  /** For messages and ids, usually the path as configured. */
  readonly name: string;
  readonly text: string;
}

/** One policy of a file. */
export interface SourcePolicy {
  /** The `@id("…")` annotation, else `<file>:<line>`. */
  readonly id: string;
  readonly text: string;
  readonly effect: 'permit' | 'forbid';
  /** Of `@review` on a forbid: who lifts it. Null: nobody does. */
  readonly review: readonly NeededGroup[] | null;
  /** Actions that it may speak for. */
  readonly actions: readonly Action[];
  /** Attributes of the context that it looks at; null when it uses the context as a whole. */
  readonly reads: ReadonlySet<string> | null;
  /** Numbers that it compares the age of the sign-in with, in seconds. */
  readonly ages: readonly number[];
  /** Authentication classes that it looks for and that a provider can be asked for. */
  readonly acrs: readonly string[];
  readonly file: PolicyText;
  /** Index of `text` in the file, in UTF-16 units. */
  readonly offset: number;
}

/** Cuts a file into its policies. What does not parse is reported and left out; nothing is used of a file with problems. */
export function splitPolicies(file: PolicyText): { policies: SourcePolicy[]; problems: PolicyProblem[] } {
  const policies: SourcePolicy[] = [];
  const problems: PolicyProblem[] = [];
  for (const piece of pieces(file.text)) {
    const parsed = policyToJson(piece.text);
    if (parsed.type === 'failure') {
      problems.push(...parsed.errors.map((error) => problemAt(file, piece, error)));
      continue;
    }
    const read = readPolicy(file, piece, parsed.json);
    if ('id' in read) policies.push(read);
    else problems.push(...read.problems);
  }
  if (problems.length === 0) problems.push(...countsDiffer(file, policies.length));
  return { policies, problems };
}

/** What Cedar does not know about a policy: its id, its review, the names of effects. */
function readPolicy(
  file: PolicyText,
  piece: Piece,
  json: PolicyJson,
): SourcePolicy | { problems: PolicyProblem[] } {
  const problems: PolicyProblem[] = [];
  const refuse = (within: number, message: string): void => {
    problems.push({ file: file.name, ...placeOf(file.text, piece.offset + within), message });
  };
  // Cedar gives null for an annotation without a text.
  const annotations: Readonly<Record<string, string | null>> = json.annotations ?? {};
  const named = annotations['id'];
  if (named !== undefined && !/^[\p{L}\p{N}._:/-]{1,128}$/u.test(named ?? ''))
    refuse(annotationAt(piece.text, 'id'), '@id must be 1 to 128 letters, digits, or . _ : / -');
  let review: SourcePolicy['review'] = null;
  for (const name of Object.keys(annotations)) {
    if (!/^reviews?$|^reviewers?$|^reviewed$/i.test(name)) continue;
    const found = name === 'review' ? reviewOf(json, annotations['review'] ?? null) : 'did you mean @review?';
    if (typeof found === 'string') refuse(annotationAt(piece.text, name), found);
    else review = found;
  }
  for (const effect of unknownEffects(json)) {
    const within = piece.text.indexOf(JSON.stringify(effect));
    refuse(Math.max(0, within), `unknown effect ${JSON.stringify(effect)}; known are ${effects.join(', ')}`);
  }
  if (problems.length > 0) return { problems };
  return {
    id: named ?? `${file.name}:${placeOf(file.text, piece.offset).line}`,
    text: piece.text,
    effect: json.effect,
    review,
    actions: actionsOf(json),
    reads: contextReads(json),
    ages: agesNamed(json),
    acrs: acrsNamed(json),
    file,
    offset: piece.offset,
  };
}

function reviewOf(json: PolicyJson, text: string | null): readonly NeededGroup[] | string {
  if (json.effect !== 'forbid') return '@review stands on a forbid: it says who may lift it';
  const actions = actionsOf(json);
  if (!actions.every((action) => action === 'execute' || action === 'forward'))
    return '@review holds commands: the head of its forbid says action == Action::"execute"';
  return parseReviewRule(text);
}

/** Index of an annotation in a policy's text; comments and strings before it may hold the same letters. */
function annotationAt(text: string, name: string): number {
  for (const match of text.matchAll(/\/\/[^\n\r]*|"(?:\\[^]|[^"\\])*"|@\s*(\w+)/g))
    if (match[1] === name) return match.index;
  return 0;
}

/** The cut and Cedar's own reading of the whole file must agree. */
function countsDiffer(file: PolicyText, count: number): PolicyProblem[] {
  const whole = policySetTextToParts(file.text);
  if (whole.type === 'success' && whole.policies.length === count) return [];
  const message = whole.type === 'failure' ? whole.errors[0]?.message : 'does not divide into policies';
  return [{ file: file.name, line: 1, column: 1, message: message ?? 'does not parse' }];
}

/** A policy's text, and where it begins in its file. */
interface Piece {
  readonly text: string;
  readonly offset: number;
}

/** Texts between `;`, without the blanks and comments before them. */
function* pieces(text: string): Generator<Piece> {
  const token = /\/\/[^\n\r]*|"(?:\\[^]|[^"\\])*"|;|[^\s;"/]+|\/|"/g;
  let start: number | null = null;
  for (const match of text.matchAll(token)) {
    if (match[0].startsWith('//')) continue;
    start ??= match.index;
    if (match[0] === ';') {
      yield { text: text.slice(start, match.index + 1), offset: start };
      start = null;
    }
  }
  if (start !== null) yield { text: text.slice(start).trimEnd(), offset: start };
}

/** Translates Cedar's place in a piece (a byte offset) to line and column of the file. */
export function problemAt(file: PolicyText, piece: Piece, error: DetailedError): PolicyProblem {
  const place = error.sourceLocations?.[0];
  const before = Buffer.from(piece.text)
    .subarray(0, place?.start ?? 0)
    .toString().length;
  const detail = [place?.label, error.help].filter(
    (text) => text !== null && text !== undefined && text !== '',
  );
  const message = error.message
    .replace(/^for policy `.*?`, /, '')
    .replace(/^failed to parse \w+(?: with id `.*?`)? from \w+: /, '');
  return {
    file: file.name,
    ...placeOf(file.text, piece.offset + before),
    message: detail.length === 0 ? message : `${message} (${detail.join('; ')})`,
  };
}

/** Line and column, from 1, of an index in a text; columns count characters, not UTF-16 units. */
export function placeOf(text: string, index: number): { line: number; column: number } {
  const before = text.slice(0, index);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: Array.from(before.slice(lineStart)).length + 1 };
}
