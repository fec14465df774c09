/**
 * Logins that an operator ended beside the relay (`hoop admin`): they are over at once, since every call reads the row, and the
 * relay tells its log of them within a second; what was ended while no relay ran is told at the next start.
 *
 * The state carries it, and not a call to the running relay: several relays may share the state, one may be down, and
 * access must go in any case.
 */
import { relayActor } from '../evidence/entry.ts';
import type { Logins } from './state/logins.ts';
import type { Append } from './told-logins.ts';

const pollMs = 1000;

export interface ToldEnds {
  /** Resolves when nothing is under way. */
  close(): Promise<void>;
}

/** @param trouble told of what is tried again */
export function tellEnds(
  append: Append,
  logins: Pick<Logins, 'takeUntold' | 'endTold' | 'untellTaken'>,
  trouble: (error: unknown) => void,
): ToldEnds {
  let running = logins.untellTaken().catch(trouble);
  const tell = async (): Promise<void> => {
    for (const { id: login, reason, operator } of await logins.takeUntold()) {
      const entry = { kind: 'login.ended' as const, actor: relayActor, login, reason };
      const told = await append({ ...entry, ...(operator !== null && { operator }) }).then(
        () => true,
        (error: unknown) => {
          trouble(error);
          return false;
        },
      );
      await logins.endTold(login, told);
    }
  };
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    running = running
      .then(tell)
      .catch(trouble)
      .finally(() => {
        busy = false;
      });
  }, pollMs).unref();
  return {
    close: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
