/** Decisions as real policies make them, for tests of the gate. */
import assert from 'node:assert/strict';
import { unknownAuthentication } from '../../src/model/authentication.ts';
import { isTargetName } from '../../src/model/ids.ts';
import type { CommandFacts } from '../../src/model/command-facts.ts';
import type { Principal } from '../../src/model/principal.ts';
import type { ExecuteDecision } from '../../src/policy/execute-decision.ts';
import { Policies } from '../../src/policy/policies.ts';

export const ana: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  subject: 'u1',
  email: 'ana@example.com',
  groups: ['engineering'],
  actsFor: null,
};

/** What these policies say to Ana at `db-prod`. */
export function decideBy(cedar: string): (facts: CommandFacts) => ExecuteDecision {
  const policies = Policies.parse([{ name: 'p.cedar', text: cedar }]);
  const name = 'db-prod';
  assert.ok(isTargetName(name));
  const target = { name, protocol: 'postgres', groups: [] } as const;
  const circumstances = {
    timeMs: Date.UTC(2026, 10, 20, 12),
    sourceAddress: '192.0.2.7',
    authentication: unknownAuthentication,
    reason: null,
    task: null,
  };
  return (facts) => policies.execute(ana, target, { ...circumstances, facts });
}

export const permitAll = '@id("all") permit(principal, action, resource);\n';
