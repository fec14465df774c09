/** Sessions that somebody ended: by a signed request, or at the relay's own machine. */
import type { EvidenceEvent } from '../read/event.ts';
import { OperatorAct } from '../operator-act.ts';
import { namedOf, type Named } from './person.ts';

export interface Kill {
  readonly time: string;
  /** Null: an operator did it. */
  readonly by: Named | null;
  /** The account at the relay's machine; null: a person did it, from anywhere. */
  readonly operator: string | null;
  readonly reason: string | null;
}

/** Null: the event is none. */
export function killOf({ kind, time, principal, reason, details }: EvidenceEvent): Kill | null {
  if (kind === 'session.killed') return { time, by: principal && namedOf(principal), operator: null, reason };
  if (kind !== 'session.killed-by-operator') return null;
  const act = OperatorAct.safeParse(details?.['operator']).data;
  return { time, by: null, operator: act?.account ?? null, reason: act?.reason ?? null };
}
