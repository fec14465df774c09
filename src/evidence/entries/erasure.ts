/** Entries about what is erased from the recordings, and about what must not be. */
import { z } from 'zod';
import { OperatorAct } from '../operator-act.ts';
import { base, session, target, time, ulid } from './shapes.ts';

/** `recording`: everything of the session but the log; `originals`: the sealed originals of what was masked. */
export const erasable = ['recording', 'originals'] as const;

/**
 * Files of a closed session are erased. A signed checkpoint covers this entry before the first one goes; its segments' digests
 * stay in the log, so that every proof but that of the erased files holds.
 */
const evidenceErased = {
  kind: z.literal('evidence.erased'),
  session,
  what: z.enum(erasable),
  /** `retention`: older than the configuration keeps it; `request`: an operator asked for it. */
  cause: z.enum(['retention', 'request']),
  /** Of a request. */
  operator: OperatorAct.optional(),
};

/** What a hold is about; what is left out is any. */
export const HoldScope = z.object({
  session: session.optional(),
  /** E-mail or subject of who opened the session, or of the person it was opened for. */
  person: z.string().min(1).max(320).optional(),
  target: target.optional(),
  /** With its sub-tasks. */
  task: z.string().min(1).max(1024).optional(),
  /** Sessions that were open at or after this time. */
  from: time.optional(),
  /** Sessions that were opened before it. */
  to: time.optional(),
});
export type HoldScope = z.infer<typeof HoldScope>;

/** Nothing of the scope is erased until the hold is released, whatever the configuration says. */
const holdPlaced = {
  kind: z.literal('hold.placed'),
  hold: ulid,
  scope: HoldScope,
  operator: OperatorAct,
};
const holdReleased = { kind: z.literal('hold.released'), hold: ulid, operator: OperatorAct };

export const erasureEntries = [
  z.object({ ...base, ...evidenceErased }),
  z.object({ ...base, ...holdPlaced }),
  z.object({ ...base, ...holdReleased }),
] as const;
