/**
 * What the CLI and the background agent say to each other: one JSON line each way on a Unix socket, then it closes.
 * Both ends validate. A person's sign-in does not cross, the agent reads the credential store itself; a program's way to sign
 * in does, with the token where it stands in no file: the socket is the user's alone.
 */
import { z } from 'zod';
import { HoopError } from '../errors.ts';
import { MachineSource } from './machine-source.ts';
import { StepUpView } from '../wire/api.ts';
import { RelayProblem } from './problem.ts';

/** Longest line, either way. */
export const lineLimitBytes = 256 * 1024;

const text = (max: number) => z.string().min(1).max(max);

export const ControlRequest = z.discriminatedUnion('op', [
  z.strictObject({
    v: z.literal(1),
    op: z.literal('connect'),
    relay: text(2048),
    profile: text(2048),
    caFile: text(4096).nullable(),
    target: text(63),
    reason: text(1024).nullable(),
    task: text(128).nullable(),
    durationSeconds: z.int().positive().nullable(),
    port: z.int().min(1).max(65_535).nullable(),
    socket: z.boolean(),
    machine: MachineSource.nullable().default(null),
  }),
  z.strictObject({ v: z.literal(1), op: z.literal('status') }),
  /** `target` null: all of them; `relay`, `profile` null: of whichever. */
  z.strictObject({
    v: z.literal(1),
    op: z.literal('disconnect'),
    relay: text(2048).nullable(),
    profile: text(2048).nullable(),
    target: text(63).nullable(),
  }),
]);
export type ControlRequest = z.infer<typeof ControlRequest>;
export type ConnectRequest = Extract<ControlRequest, { op: 'connect' }>;
export type DisconnectRequest = Extract<ControlRequest, { op: 'disconnect' }>;

/** One target as served on this machine. */
export const ServedView = z.object({
  target: z.string(),
  relay: z.string(),
  /** Name of the account; the relay's address where none was given. */
  profile: z.string(),
  protocol: z.enum(['postgres', 'ssh']),
  /** Such as `PostgreSQL 15.18`. */
  server: z.string(),
  session: z.string(),
  /** RFC 3339. */
  deadline: z.string(),
  /** Address, or directory of the Unix socket. */
  host: z.string(),
  port: z.int(),
  user: z.string(),
  database: z.string().nullable(),
  /** Of an SSH target: the host key of the relay's end, as in known_hosts without the host. */
  hostKey: z.string().nullable().default(null),
  /** Local connections at this moment. */
  connections: z.int(),
  state: z.enum(['open', 'reconnecting', 'ended']),
});
export type ServedView = z.infer<typeof ServedView>;

const Failure = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  /** HTTP status, when the relay refused. */
  status: z.int().nullable(),
  stepUp: StepUpView.nullable().default(null),
});

/** `served`: what the request was about; after `disconnect`, what was ended. */
export const ControlAnswer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), served: z.array(ServedView) }),
  z.object({ ok: z.literal(false), error: Failure }),
]);
export type ControlAnswer = z.infer<typeof ControlAnswer>;

/** A failure in the agent, for the wire; one that is not ours is told without its text. */
export function failureAnswer(error: unknown): ControlAnswer {
  const known = error instanceof HoopError;
  return {
    ok: false,
    error: {
      code: known ? error.code : 'unexpected',
      message: known ? error.message : 'the background agent failed',
      hint: known ? (error.hint ?? null) : null,
      status: error instanceof RelayProblem ? error.status : null,
      stepUp: error instanceof RelayProblem ? error.stepUp : null,
    },
  };
}

/** The same failure again, on the CLI's side: code and status decide the exit code as if it had happened here. */
export function failureOf(answer: Extract<ControlAnswer, { ok: false }>): RelayProblem {
  const { code, message, hint, status, stepUp } = answer.error;
  return new RelayProblem({
    title: message,
    code,
    status: status ?? 500,
    ...(hint !== null && { hint }),
    ...(stepUp !== null && { stepUp }),
  });
}
