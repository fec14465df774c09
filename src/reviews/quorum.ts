/**
 * How many people of which groups have approved. A person counts once in a group, and in every needed group that they are
 * in: who is both a DBA and in security speaks for both. Two people are asked for by a number, not by two names of groups.
 */
import type { NeededGroup } from '../model/review.ts';
import { answerable, type Principal } from '../model/principal.ts';

/** Issuer and subject are who it is, and for whom it acts; groups are those of the moment of the decision. */
export type Reviewer = Pick<Principal, 'issuer' | 'subject' | 'groups' | 'actsFor'>;

export interface GroupCount extends NeededGroup {
  /** People of the group who approved. */
  readonly approvals: number;
}

/** Needed groups that the reviewer is in. */
export const groupsOf = (needed: readonly NeededGroup[], reviewer: Pick<Reviewer, 'groups'>): string[] =>
  needed.filter(({ group }) => reviewer.groups.includes(group)).map(({ group }) => group);

export function countApprovals(
  needed: readonly NeededGroup[],
  approvers: readonly Reviewer[],
): readonly GroupCount[] {
  return needed.map(({ group, count }) => {
    const people = approvers.filter(({ groups }) => groups.includes(group));
    const names = people.map(answerable).map(({ issuer, subject }) => JSON.stringify([issuer, subject]));
    const approvals = new Set(names).size;
    return { group, count, approvals };
  });
}

/** All groups have their number. A review that needs nobody is never approved: nothing lets it through by accident. */
export const isMet = (counts: readonly GroupCount[]): boolean =>
  counts.length > 0 && counts.every(({ count, approvals }) => count > 0 && approvals >= count);
