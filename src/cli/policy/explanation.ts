/** An explained decision for people. */
import type { StepUp } from '../../model/authentication.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Explanation } from '../../relay/explain.ts';
import { colour, visible } from '../colour.ts';
import { sqlLines } from '../sql-text.ts';
import type { TextSurface } from '../sql-text.ts';

const marks = {
  allow: colour.green('allow'),
  deny: colour.red('deny'),
  review: colour.yellow('review'),
} as const;

export function* explanationLines(
  explanation: Explanation,
  target: string,
  surface: TextSurface,
): Generator<string> {
  const { decision, action, principal, policies, errors, command, needed, stepUp } = explanation;
  yield `  ${marks[decision]}: ${visible(principal)} → ${visible(target)}`;
  if (action === 'connect' && decision === 'deny') yield '  to connect; no command comes so far';
  for (const { text, facts } of command?.statements ?? []) {
    yield '';
    yield* sqlLines(text, surface);
    yield* factLines(facts);
  }
  if (needed.length > 0) yield `\n  waits for: ${formatNeeded(needed)}; nobody approves their own`;
  if (stepUp !== null) yield `\n  a fresh sign-in lifts it: ${formatStepUp(stepUp)}`;
  for (const policy of policies) {
    yield `\n  ${policy.effect} ${visible(policy.id)} (${visible(policy.file)}:${policy.line})`;
    for (const line of policy.text.split('\n')) yield `    ${visible(line)}`;
  }
  for (const id of errors) yield `  failed to evaluate, and so denied: ${visible(id)}`;
  if (decision === 'deny' && policies.length === 0 && errors.length === 0)
    yield '  no policy permits it (default deny)';
}

/** What a command does, a line for each kind of fact that there is. */
export function* factLines({
  effects,
  relations,
  functions,
  programs,
  paths,
  destinations,
}: Facts): Generator<string> {
  yield `    effects    ${effects.length === 0 ? 'none' : effects.map(painted).join(', ')}`;
  for (const [name, values] of [
    ['relations', relations],
    ['functions', functions],
    ['programs', programs],
    ['paths', (paths ?? []).filter((path) => !path.endsWith('/'))],
    ['to', destinations ?? []],
  ] as const)
    if (values.length > 0) yield `    ${name.padEnd(10)} ${values.map(visible).join(', ')}`;
}

/** As policies read them; also as a relay told them, whose effects may be newer than ours. */
type Facts = Omit<CommandFacts, 'effects'> & { readonly effects: readonly string[] };

const dangerous = new Set([
  'code',
  'delete',
  'file',
  'forward',
  'privilege',
  'schema',
  'shell',
  'system',
  'unbounded',
  'unknown',
]);
const painted = (effect: string): string =>
  dangerous.has(effect) ? colour.red(visible(effect)) : visible(effect);

function formatStepUp({ maxAgeSeconds, acr }: StepUp): string {
  const age = maxAgeSeconds === null ? [] : [`at most ${maxAgeSeconds} s old`];
  return [...age, ...(acr === null ? [] : [`acr ${visible(acr)}`])].join(', ');
}

export const formatNeeded = (needed: readonly { group: string; count: number }[]): string =>
  needed.map(({ group, count }) => `${visible(group)} (${count})`).join(', ');
