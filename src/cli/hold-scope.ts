/** Flags that say what an erasure or a hold is about. */
import * as Flags from '@oclif/core/flags';
import { CLIError } from '@oclif/core/errors';
import { HoldScope } from '../evidence/entries/erasure.ts';
import { parseMoment } from './audit/moment.ts';

export const scopeFlags = {
  session: Flags.string({ description: 'this session' }),
  person: Flags.string({ description: 'sessions of this person: e-mail address or subject' }),
  target: Flags.string({ description: 'sessions at this target' }),
  task: Flags.string({ description: 'sessions of this task and its sub-tasks' }),
  from: Flags.string({ description: 'sessions that were open at or after this time' }),
  to: Flags.string({ description: 'sessions that were opened before this time' }),
};

type Given = { readonly [Name in keyof typeof scopeFlags]?: string | undefined };

/** @throws CLIError when it is about everything, or cannot be read; DurationError `duration-invalid` */
export function scopeOf({ session, person, target, task, from, to }: Given): HoldScope {
  const now = new Date();
  const scope = {
    ...(session !== undefined && { session }),
    ...(person !== undefined && { person }),
    ...(target !== undefined && { target }),
    ...(task !== undefined && { task }),
    ...(from !== undefined && { from: parseMoment(from, now) }),
    ...(to !== undefined && { to: parseMoment(to, now) }),
  };
  if (Object.keys(scope).length === 0)
    throw new CLIError(`say what it is about: --${Object.keys(scopeFlags).join(', --')}`);
  const checked = HoldScope.safeParse(scope);
  if (checked.success) return checked.data;
  throw new CLIError(`this cannot be: --${String(checked.error.issues[0]?.path[0])}`);
}

export const scopeText = (scope: HoldScope): string =>
  Object.entries(scope)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
