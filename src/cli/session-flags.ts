/** Flags of every command that opens a session. */
import * as Flags from '@oclif/core/flags';
import type { SessionWish } from '../agent/session-client.ts';
import { parseDuration } from './time.ts';

export const sessionFlags = {
  reason: Flags.string({ description: 'why, for policy and the record', helpValue: 'TEXT' }),
  task: Flags.string({
    description: 'workflow that the commands belong to; NAME/PART is a sub-task',
    env: 'HOOP_TASK',
    helpValue: 'NAME',
  }),
  duration: Flags.string({
    description: 'how long, such as 30m or 8h; the relay may grant less',
    helpValue: 'TIME',
  }),
};

export interface SessionFlagValues {
  readonly reason: string | undefined;
  readonly task: string | undefined;
  readonly duration: string | undefined;
}

/** @throws DurationError */
export const wishOf = (target: string, { reason, task, duration }: SessionFlagValues): SessionWish => ({
  target,
  reason: reason ?? null,
  task: task ?? null,
  durationSeconds: duration === undefined ? null : parseDuration(duration),
});
