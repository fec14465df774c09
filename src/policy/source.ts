/**
 * Policy files cut into single policies, each with an id that people and the record can name and the place where it
 * stands. Cedar itself would number them `policy0`, `policy1`, …, so that inserting one renames all that follow.
 *
 * The cut needs the lexical grammar alone (strings, comments, `;`); Cedar then parses every piece, so a wrong cut can
 * only end in an error.
 */
import { policySetTextToParts, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyProblem } from './error.ts';

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
  readonly annotations: Readonly<Record<string, string>>;
  readonly file: PolicyText;
  /** Index of `text` in the file, in UTF-16 units. */
  readonly offset: number;
  /** True when the policy reads `context.time`: its decisions hold for an instant only. */
  readonly readsTime: boolean;
}

/** Cuts a file into its policies. What does not parse is reported and left out; nothing is used of a file with problems. */
export function splitPolicies(file: PolicyText): { policies: SourcePolicy[]; problems: PolicyProblem[] } {
  const policies: SourcePolicy[] = [];
  const problems: PolicyProblem[] = [];
  for (const { text, offset } of pieces(file.text)) {
    const parsed = policyToJson(text);
    if (parsed.type === 'failure') {
      problems.push(...parsed.errors.map((error) => problemAt(file, { text, offset }, error)));
      continue;
    }
    const { effect, annotations = {} } = parsed.json;
    const named = annotations['id'];
    if (named !== undefined && !/^[\p{L}\p{N}._:/-]{1,128}$/u.test(named)) {
      problems.push({
        file: file.name,
        ...placeOf(file.text, offset),
        message: '@id must be 1 to 128 letters, digits, or . _ : / -',
      });
      continue;
    }
    const id = named ?? `${file.name}:${placeOf(file.text, offset).line}`;
    policies.push({ id, text, effect, annotations, file, offset, readsTime: readsTime(parsed.json) });
  }
  if (problems.length === 0) problems.push(...countsDiffer(file, policies.length));
  return { policies, problems };
}

/** The cut and Cedar's own reading of the whole file must agree. */
function countsDiffer(file: PolicyText, count: number): PolicyProblem[] {
  const whole = policySetTextToParts(file.text);
  if (whole.type === 'success' && whole.policies.length === count) return [];
  const message = whole.type === 'failure' ? whole.errors[0]?.message : 'does not divide into policies';
  return [{ file: file.name, line: 1, column: 1, message: message ?? 'does not parse' }];
}

/** Texts between `;`, without the blanks and comments before them. */
function* pieces(text: string): Generator<{ text: string; offset: number }> {
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
export function problemAt(
  file: PolicyText,
  piece: { readonly text: string; readonly offset: number },
  error: DetailedError,
): PolicyProblem {
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

/** Does a policy's syntax tree look at `context.time`, or at `context` as a whole? */
function readsTime(node: unknown, parent: unknown = null): boolean {
  if (Array.isArray(node)) return node.some((item) => readsTime(item, node));
  if (typeof node !== 'object' || node === null) return false;
  if ('Var' in node && node.Var === 'context') {
    const attribute = typeof parent === 'object' && parent !== null && 'attr' in parent ? parent.attr : null;
    return attribute === null || attribute === 'time' || Array.isArray(attribute);
  }
  return Object.values(node).some((child) => readsTime(child, node));
}
