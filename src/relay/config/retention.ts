/** `evidence.retention` of `relay.yaml`: how long recordings are kept. What is not said is kept for ever. */
import { z } from 'zod';
import { closed, durationMs, targetName } from './shapes.ts';

/** Milliseconds since the end of the session; null: for ever. */
export interface Retained {
  readonly recordingsMs: number | null;
  readonly originalsMs: number | null;
}
export interface RetentionRules {
  readonly all: Retained;
  /** Of targets with a word of their own, by name. */
  readonly targets: ReadonlyMap<string, Retained>;
}

const kept = {
  recordings: durationMs('1d', '36500d').optional(),
  originals: durationMs('1d', '36500d').optional(),
};
export const RetentionFile = closed({ ...kept, targets: z.record(targetName, closed(kept)).default({}) });
export type RetentionFile = z.output<typeof RetentionFile>;

/** A target's own word replaces the general one, key by key. Targets that are no longer configured may have one. */
export function resolveRetention({ recordings, originals, targets }: RetentionFile): RetentionRules {
  const all = { recordingsMs: recordings ?? null, originalsMs: originals ?? null };
  const own = Object.entries(targets).map(
    ([target, given]) =>
      [
        target,
        {
          recordingsMs: given.recordings ?? all.recordingsMs,
          originalsMs: given.originals ?? all.originalsMs,
        },
      ] as const,
  );
  return { all, targets: new Map(own) };
}

export const retainedOf = ({ all, targets }: RetentionRules, target: string): Retained =>
  targets.get(target) ?? all;

/** Whether anything is ever too old. */
export const erases = ({ all, targets }: RetentionRules): boolean =>
  [all, ...targets.values()].some(
    ({ recordingsMs, originalsMs }) => recordingsMs !== null || originalsMs !== null,
  );
