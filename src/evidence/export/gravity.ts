/** How grave an event is, for receivers that sort by it; one table for every format. */
import type { EvidenceEvent } from '../read/event.ts';

/** In rising order. */
export const gravities = ['informational', 'low', 'medium', 'high', 'critical'] as const;
export type Gravity = (typeof gravities)[number];

const byKind: Readonly<Record<string, Gravity>> = {
  'agent.delegated': 'low',
  'break-glass.ended': 'medium',
  'break-glass.opened': 'critical',
  'break-glass.used': 'critical',
  'command.blocked': 'medium',
  'command.held': 'low',
  'config.changed': 'low',
  gap: 'critical',
  'log.key-rotated': 'medium',
  'relay.recovered': 'medium',
  'review.refused': 'medium',
  'session.killed': 'medium',
  'session.killed-by-operator': 'medium',
  'storage.low': 'high',
  unreadable: 'critical',
};

export function gravityOf({ kind, outcome }: EvidenceEvent): Gravity {
  if (kind === 'command')
    return outcome === 'blocked' ? 'medium' : outcome === 'failed' ? 'low' : 'informational';
  if (kind === 'session.closed')
    return outcome === 'evidence-failed' || outcome === 'masking-failed' ? 'critical' : 'informational';
  return Object.hasOwn(byKind, kind) ? byKind[kind]! : 'informational';
}
