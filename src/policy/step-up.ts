/**
 * Whether a fresh sign-in would lift a denial, found by deciding again as if there had been one. Nothing here allows
 * anything: it says what to ask the person for, and the policies decide on what comes of it.
 */
import type { Authentication, StepUp } from '../model/authentication.ts';
import type { Action } from './schema.ts';
import type { SourcePolicy } from './source.ts';

/** What the policies for an action say of authentication. */
export interface Mentioned {
  /** Ages in seconds that might make a difference, the highest first; empty when no policy reads the age. */
  readonly ages: readonly number[];
  readonly acrs: readonly string[];
}

/** More make no sensible set of policies; each costs a decision, and only where one was a denial. */
const mostValues = 32;

/** Null where no policy for this action reads `authAgeSeconds` or `acr`. */
export function mentionedFor(action: Action, policies: readonly SourcePolicy[]): Mentioned | null {
  const speaking = policies.filter(({ actions }) => actions.includes(action));
  const reads = (attribute: string): boolean =>
    speaking.some((policy) => policy.reads === null || policy.reads.has(attribute));
  if (!reads('authAgeSeconds') && !reads('acr')) return null;
  // `<` is true one second earlier than `<=`.
  const around = speaking.flatMap(({ ages }) => ages.flatMap((age) => [age, age - 1]));
  const ages = [...new Set(around)].filter((age) => age > 0).toSorted((a, b) => b - a);
  return {
    ages: reads('authAgeSeconds') ? [...ages.slice(0, mostValues), 0] : [],
    acrs: [...new Set(speaking.flatMap((policy) => policy.acrs))].slice(0, mostValues),
  };
}

/**
 * @param lifted decides the same question with another authentication; true unless it is a denial still
 * @returns what to ask for; null when a fresh sign-in changes nothing
 */
export function stepUpThatLifts(
  { ages, acrs }: Mentioned,
  { timeMs, authentication }: { readonly timeMs: number; readonly authentication: Authentication },
  lifted: (authentication: Authentication) => boolean,
): StepUp | null {
  const aged = (ageSeconds: number, acr: string | null): boolean =>
    lifted({ ...authentication, timeMs: timeMs - ageSeconds * 1000, acr: acr ?? authentication.acr });
  for (const acr of [null, ...acrs]) {
    if (!aged(0, acr)) continue;
    const maxAgeSeconds = ages.length === 0 ? null : (ages.find((age) => aged(age, acr)) ?? 0);
    return { maxAgeSeconds, acr };
  }
  return null;
}

/** What the person does; for errors and notices. */
export const stepUpHint = ({ acr }: StepUp): string =>
  `sign in again, then repeat it: hoop login --step-up${acr === null ? '' : ` --acr ${acr}`}`;
