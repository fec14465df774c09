/** Rules of `identity.machines`: whom a token lets in must be said, and the persons whom agents act for must be known here. */
import type { MachineRule } from '../../identity/machine-token.ts';
import { isLoopback } from './loopback.ts';
import type { RuleProblem } from './rules.ts';
import type { RelayFile } from './schema.ts';

export function* machineProblems({ identity }: RelayFile): Generator<RuleProblem> {
  const names = new Set<string>();
  for (const [at, machine] of identity.machines.entries()) {
    const path = ['identity', 'machines', `${at}`];
    const { name, issuer, subject, actor, conditions, kind } = machine;
    if (names.has(name)) yield { path: [...path, 'name'], message: `there are two rules named ${name}` };
    names.add(name);
    const { protocol, hostname } = new URL(issuer);
    if (protocol === 'http:' && !isLoopback(hostname))
      yield { path: [...path, 'issuer'], message: 'expected https: http is for loopback only' };
    const binds = Object.values(conditions).some((anyOf) => anyOf.every((each) => each.binds));
    if (subject?.binds !== true && actor?.binds !== true && !binds)
      yield {
        path: [...path, subject === undefined ? 'conditions' : 'subject'],
        message: 'expected a subject or a condition that is more than * : the issuer has other customers',
      };
    if (actor === undefined) continue;
    if (kind !== 'agent')
      yield { path: [...path, 'actor'], message: 'only an agent acts for somebody: kind must be agent' };
    if (!actor.binds) yield { path: [...path, 'actor'], message: 'expected more than * : name the agents' };
    // Nobody may approve what an agent asks on their behalf, so it must be seen who they are.
    if (identity.issuer !== 'embedded' && identity.issuer !== issuer)
      yield {
        path: [...path, 'issuer'],
        message: 'expected identity.issuer: agents act for people who sign in at this relay',
      };
  }
}

/** @param audience where a rule names none: this relay's base URL */
export const machineRules = ({ identity }: RelayFile, audience: string): readonly MachineRule[] =>
  identity.machines.map(({ conditions, subject, actor, lifetime, ...rule }) => ({
    ...rule,
    audience: rule.audience ?? audience,
    subject: subject ?? null,
    actor: actor ?? null,
    conditions: Object.entries(conditions).map(([claim, anyOf]) => ({ claim, anyOf })),
    lifetimeMs: lifetime,
  }));
