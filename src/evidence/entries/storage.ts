/** Entries about the disk that the record is kept on, and about what goes on when it has no room. */
import { z } from 'zod';
import { base, byPerson, count, time, ulid } from './shapes.ts';

const figures = {
  /** As the file system tells it; what the reserve holds is not in it. */
  availableBytes: count,
  totalBytes: count,
  /** What the reserve holds by now. */
  reserveBytes: count,
};

/** Room for the record runs short. `full`: no session opens, live ones have been ended. */
const storageLow = {
  kind: z.literal('storage.low'),
  level: z.enum(['low', 'critical', 'full']),
  ...figures,
};

/** There is enough room again, and the reserve is whole. */
const storageRecovered = { kind: z.literal('storage.recovered'), ...figures };

/**
 * An operator lets named people open sessions although there is no room but the reserve's; everything else is decided and
 * recorded as ever. Actor: the relay, since nobody proved who the operator is beyond access to the relay's machine.
 */
const breakGlassOpened = {
  kind: z.literal('break-glass.opened'),
  breakGlass: ulid,
  reason: z.string().min(1).max(1024),
  /** Account on the relay's machine, as the command told it. */
  operator: z.string().max(256),
  people: z
    .array(z.object({ issuer: z.string(), subject: z.string() }))
    .min(1)
    .max(100),
  expires: time,
  /** What of the reserve is lent to it. */
  bytes: count,
};

/** A session is opened by it; `session.opened` stands before it. Actor: who opened it. */
const breakGlassUsed = { kind: z.literal('break-glass.used'), breakGlass: ulid, session: ulid };

const breakGlassEnded = {
  kind: z.literal('break-glass.ended'),
  breakGlass: ulid,
  /** `space-back`: its sessions go on as any other. */
  outcome: z.enum(['expired', 'reserve-used-up', 'space-back', 'relay-stopped']),
  /** Sessions that were opened by it. */
  sessions: count,
};

export const storageEntries = [
  z.object({ ...base, ...storageLow }),
  z.object({ ...base, ...storageRecovered }),
  z.object({ ...base, ...breakGlassOpened }),
  z.object({ ...byPerson, ...breakGlassUsed }),
  z.object({ ...base, ...breakGlassEnded }),
] as const;
