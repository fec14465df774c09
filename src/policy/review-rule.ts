/**
 * `@review("dba-leads:2, security")` on a `forbid`: not until so many of each group have approved. All named groups are
 * needed; the number is 1 where none stands.
 */

import type { NeededGroup } from '../model/review.ts';

/** Bounds of one annotation: a review that needs more is a mistake. */
const mostGroups = 16;
const mostPeople = 99;

/**
 * Letters, digits and `. _ / @ + -`, single blanks between them. What else a name may hold at a provider (a comma, a colon,
 * a quote, something invisible) could be read in two ways here.
 */
const groupName = /^[\p{L}\p{N}._/@+-]+(?: [\p{L}\p{N}._/@+-]+)*$/u;

/** Reads the annotation's text. @returns the groups, sorted by name, or what is wrong, in words */
export function parseReviewRule(text: string | null): readonly NeededGroup[] | string {
  if (text === null || text.trim() === '') return '@review names who approves, as in @review("dba-leads:2")';
  const needed: NeededGroup[] = [];
  for (const part of text.split(',')) {
    const [name = '', number, ...rest] = part.split(':').map((word) => word.trim());
    if (rest.length > 0 || name.length > 128 || !groupName.test(name))
      return `@review: ${JSON.stringify(part.trim())} is no group, or group:number; a name has letters, digits, blanks and . _ / @ + -`;
    if (number !== undefined && !(/^[1-9]\d?$/.test(number) && Number(number) <= mostPeople))
      return `@review: ${JSON.stringify(number)} is no number of people from 1 to ${mostPeople}`;
    if (needed.some(({ group }) => group === name)) return `@review names ${name} twice`;
    needed.push({ group: name, count: Number(number ?? 1) });
  }
  if (needed.length > mostGroups) return `@review names more than ${mostGroups} groups`;
  return needed.toSorted(byName);
}

/** What several rules ask for together: every group of any, with the highest number that one of them asks for. */
export function unionOfNeeds(rules: Iterable<readonly NeededGroup[]>): readonly NeededGroup[] {
  const counts = new Map<string, number>();
  for (const rule of rules)
    for (const { group, count } of rule) counts.set(group, Math.max(count, counts.get(group) ?? 0));
  return Object.freeze([...counts].map(([group, count]) => Object.freeze({ group, count })).toSorted(byName));
}

/** `dba-leads (2)`: how a client is told. */
export const formatNeed = ({ group, count }: NeededGroup): string => `${group} (${count})`;

const byName = (a: NeededGroup, b: NeededGroup): number => (a.group < b.group ? -1 : 1);
