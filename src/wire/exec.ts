/**
 * One program over a WebSocket: `GET /v1/sessions/:id/exec`, subprotocol `v5.channel.k8s.io`. Binary messages belong to a
 * channel, their first byte: stdin 0, stdout 1, stderr 2, status 3, resize 4, close 255 (whose second byte names the
 * channel that ends). Channel 3 brings one Kubernetes `Status` at the end.
 *
 * What is to be run may hold secrets and never stands in the address: the first message is an `ExecRequest`, as text. Text
 * messages after it are of hoop's own, as Kubernetes has neither signals nor a bound for stdin: `ExecControl` to the relay,
 * `ExecCredit` from it. A caller sends at most `execStdinBytes` of stdin that the relay has not yet said to be taken, so
 * that a signal never waits behind them.
 */
import { z } from 'zod';

export const execSubprotocol = 'v5.channel.k8s.io';

export const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** Longest message, either way. Senders cut streams into pieces of `execPieceBytes`. */
export const execMessageBytes = 1024 * 1024;
export const execPieceBytes = 64 * 1024;
/** More waiting than this, and whoever writes has to wait. */
export const execWaitingBytes = 1024 * 1024;
export const execStdinBytes = 256 * 1024;
/** Both ends send pings; one that was not heard of for three of them is gone. */
export const execPingMs = 20_000;

/** What a Linux kernel takes as one argument. */
const longestCommand = 128 * 1024;
const mostVariables = 256;
const longestVariable = 32 * 1024;

/** Bytes that are no text could not be decided on as they run. */
export const isExactText = (text: string): boolean => text.isWellFormed() && !/[\0\ufffd]/.test(text);

const exact = (max: number) =>
  z
    .string()
    .max(max)
    .refine(
      (text) => isExactText(text) && Buffer.byteLength(text) <= max,
      'not a text that can be passed on exactly',
    );
const size = z.int().min(1).max(10_000);

export const ExecResize = z.object({ Width: size, Height: size });

export const ExecRequest = z.strictObject({
  v: z.literal(1),
  /** A command line of the server's shell, as in an SSH `exec` request; null: the login shell itself. */
  command: exact(longestCommand).min(1).nullable(),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/), exact(longestVariable))
    .refine((all) => Object.keys(all).length <= mostVariables, 'too many variables'),
  terminal: z
    .strictObject({ term: z.string().regex(/^[\x21-\x7e]{1,64}$/), columns: size, rows: size })
    .nullable(),
  /** False: the program reads nothing. */
  stdin: z.boolean(),
  /** The session ends with this program, whatever becomes of the caller. */
  endsSession: z.boolean(),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

/** Those that SSH knows (RFC 4254, 6.10). */
export const execSignals = [
  'ABRT',
  'ALRM',
  'FPE',
  'HUP',
  'ILL',
  'INT',
  'KILL',
  'PIPE',
  'QUIT',
  'SEGV',
  'TERM',
  'USR1',
  'USR2',
] as const;
export const ExecControl = z.strictObject({ signal: z.enum(execSignals) });
export type ExecControl = z.infer<typeof ExecControl>;

/** Bytes of stdin that were taken since it was last said. */
export const ExecCredit = z.object({ taken: z.int().positive() });
export type ExecCredit = z.infer<typeof ExecCredit>;

/**
 * Kubernetes `Status`, as far as it is used. `reason`: `NonZeroExitCode` (causes `ExitCode`, and `Signal` when one ended it),
 * `Forbidden`, `Interrupted`, `TargetUnavailable`, `SessionEnded` (causes `Code`, `Hint`).
 */
export const ExecStatus = z.object({
  metadata: z.object({}).default({}),
  status: z.enum(['Success', 'Failure']),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({ causes: z.array(z.object({ reason: z.string(), message: z.string() })).default([]) })
    .optional(),
});
export type ExecStatus = z.infer<typeof ExecStatus>;

export const execSucceeded: ExecStatus = { metadata: {}, status: 'Success' };

export function execFailure(
  reason: string,
  message: string,
  causes: readonly (readonly [reason: string, message: string | null])[],
): ExecStatus {
  const told = causes.flatMap(([name, text]) => (text === null ? [] : [{ reason: name, message: text }]));
  return { metadata: {}, status: 'Failure', message, reason, details: { causes: told } };
}

/** The message of a cause; null when it is not told. */
export function causeOf({ details }: ExecStatus, reason: string): string | null {
  return details?.causes.find((cause) => cause.reason === reason)?.message ?? null;
}

/** One message for a channel. */
export function frameOf(channel: number, bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(bytes.length + 1);
  frame[0] = channel;
  frame.set(bytes, 1);
  return frame;
}

/** The end of a channel. */
export const closeFrame = (channel: number): Buffer => Buffer.from([channels.close, channel]);
