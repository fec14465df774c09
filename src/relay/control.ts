/**
 * The relay's control socket, `relay.sock` in its data directory: `hoop relay reload`, `rotate-log-key` and `break-glass`
 * ask there, and get the answer that a signal could not give. Mode 0600: who may use it is who may read the relay's keys (its user, and
 * root); it can do nothing else. A socket of a relay that died is replaced, one that answers never.
 */
import { chmod, unlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import { HoopError, hasErrno } from '../errors.ts';
import { erasable, HoldScope } from '../evidence/entries/erasure.ts';
import { OperatorAct } from '../evidence/operator-act.ts';
import { problemLines } from './problem-lines.ts';

/**
 * - `relay-not-running`: nothing answers at the relay's control socket.
 * - `relay-control-taken`: another relay answers there already.
 * - `reload-refused`: the relay could not reload; the message is its own.
 * - `log-key-not-rotated`: the relay could not hand its log over; the message is its own.
 * - `break-glass-refused`: the relay lets nobody in; the message is its own.
 * - `retention-refused`: the relay erases nothing, or does not change the hold; the message is its own.
 */
export class ControlError extends HoopError<
  | 'relay-not-running'
  | 'relay-control-taken'
  | 'reload-refused'
  | 'log-key-not-rotated'
  | 'break-glass-refused'
  | 'retention-refused'
> {}

/** `sun_path` holds 108 bytes on Linux, 104 elsewhere, with the final NUL. */
const longestPathBytes = 103;
const requestTimeoutMs = 5000;
const answerTimeoutMs = 60_000;
const longestLine = 1024 * 1024;
/** Longer than that is no emergency. */
export const longestBreakGlassSeconds = 4 * 3600;

const BreakGlass = z.strictObject({
  v: z.literal(1),
  do: z.literal('break-glass'),
  reason: z.string().min(1).max(1024),
  operator: z.string().max(256),
  /** Addresses, or `sub:` and a subject. */
  people: z.array(z.string().min(1).max(320)).min(1).max(100).readonly(),
  forSeconds: z.int().positive().max(longestBreakGlassSeconds),
});
const Erase = z.strictObject({
  v: z.literal(1),
  do: z.literal('erase'),
  scope: HoldScope,
  what: z.enum(erasable),
  operator: OperatorAct,
});
const PlaceHold = z.strictObject({
  v: z.literal(1),
  do: z.literal('place-hold'),
  scope: HoldScope,
  operator: OperatorAct,
});
const ReleaseHold = z.strictObject({
  v: z.literal(1),
  do: z.literal('release-hold'),
  hold: z.string().max(64),
  operator: OperatorAct,
});
const Request = z.discriminatedUnion('do', [
  z.strictObject({ v: z.literal(1), do: z.literal('reload') }),
  z.strictObject({ v: z.literal(1), do: z.literal('rotate-log-key') }),
  BreakGlass,
  Erase,
  PlaceHold,
  ReleaseHold,
]);
type Request = z.infer<typeof Request>;
export type AskedBreakGlass = Omit<z.infer<typeof BreakGlass>, 'v' | 'do'>;

/** What the socket answers. */
const Reloaded = z.object({
  changed: z.boolean(),
  digest: z.string(),
  files: z.array(z.string()).readonly(),
  policies: z.number(),
  sessionsEnded: z.number(),
  warnings: z.array(z.string()).readonly(),
});
const Rotated = z.object({
  /** Place of the entry that says so. */
  entry: z.number(),
  /** Verifier keys. */
  from: z.string(),
  to: z.string(),
  /** `log.nextKey` is in force: it should become `log.key`. */
  configurationBehind: z.boolean(),
});
const Opened = z.object({
  breakGlass: z.string(),
  /** RFC 3339. */
  expires: z.string(),
  people: z.array(z.object({ issuer: z.string(), subject: z.string() })).readonly(),
  /** Room for their sessions' record. */
  bytes: z.number(),
});
const ids = z.array(z.string()).readonly();
const Erased = z.object({ erased: ids, held: ids, locked: ids });
const Answer = z.union([
  z.object({ erased: Erased }),
  z.object({ hold: z.string() }),
  z.object({ opened: Opened }),
  z.object({ reloaded: Reloaded }),
  z.object({ rotated: Rotated }),
  z.object({
    refused: z.object({ code: z.string(), message: z.string(), problems: z.array(z.string()) }),
  }),
]);
type Answer = z.infer<typeof Answer>;
export type ReloadAnswer = z.infer<typeof Reloaded>;
export type RotationAnswer = z.infer<typeof Rotated>;
export type BreakGlassAnswer = z.infer<typeof Opened>;
export type ErasureAnswer = z.infer<typeof Erased>;
export type AskedErasure = Omit<z.infer<typeof Erase>, 'v' | 'do'>;
export type AskedHold = Omit<z.infer<typeof PlaceHold>, 'v' | 'do'>;

/** What can be asked for. */
export interface ControlActions {
  reload(): Promise<ReloadAnswer>;
  rotateLogKey(): Promise<RotationAnswer>;
  breakGlass(asked: AskedBreakGlass): Promise<BreakGlassAnswer>;
  erase(asked: AskedErasure): Promise<ErasureAnswer>;
  /** Its id. */
  placeHold(asked: AskedHold): Promise<string>;
  releaseHold(asked: { readonly hold: string; readonly operator: OperatorAct }): Promise<string>;
}

export const controlSocket = (dataDir: string): string => path.join(dataDir, 'relay.sock');

export interface ControlServer {
  /** Removes the socket. */
  close(): Promise<void>;
}

/**
 * Listens in the data directory.
 * @returns null where the directory's name is too long for a socket; SIGHUP still works
 * @throws ControlError `relay-control-taken`; Error of a system call
 */
export async function serveControl(dataDir: string, actions: ControlActions): Promise<ControlServer | null> {
  const file = controlSocket(dataDir);
  if (Buffer.byteLength(file) > longestPathBytes) return null;
  const there = await connect(file);
  if (there !== null) {
    there.destroy();
    throw new ControlError('relay-control-taken', `another relay runs with the data directory ${dataDir}`);
  }
  await unlink(file).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    void answer(socket, actions);
  });
  await new Promise<void>((resolve, reject) => {
    // The socket is made in the call, and is never anybody else's, not for a moment.
    const before = process.umask(0o177);
    server.once('error', reject).listen(file, resolve);
    process.umask(before);
  });
  await chmod(file, 0o600);
  return {
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function answer(socket: net.Socket, actions: ControlActions): Promise<void> {
  try {
    const request = Request.safeParse(await readLine(socket, requestTimeoutMs));
    if (!request.success) throw new ControlError('reload-refused', 'the relay is of another version');
    socket.end(`${JSON.stringify(await told(request.data, actions))}\n`);
  } catch (error) {
    const refused =
      error instanceof HoopError
        ? { code: error.code, message: error.message, problems: problemLines(error) }
        : { code: 'internal', message: 'the relay failed; its log says more', problems: [] };
    socket.end(`${JSON.stringify({ refused } satisfies Answer)}\n`);
  }
}

async function told(request: Request, actions: ControlActions): Promise<Answer> {
  switch (request.do) {
    case 'reload':
      return { reloaded: await actions.reload() };
    case 'rotate-log-key':
      return { rotated: await actions.rotateLogKey() };
    case 'break-glass':
      return { opened: await actions.breakGlass(request) };
    case 'erase':
      return { erased: await actions.erase(request) };
    case 'place-hold':
      return { hold: await actions.placeHold(request) };
    case 'release-hold':
      return { hold: await actions.releaseHold(request) };
  }
}

/**
 * Asks the relay of a data directory to reload.
 * @throws ControlError `relay-not-running`, `reload-refused`; Error of a system call
 */
export async function askReload(dataDir: string): Promise<ReloadAnswer> {
  const answer = await ask(dataDir, { do: 'reload' });
  if (answer !== null && 'reloaded' in answer) return answer.reloaded;
  if (answer !== null && 'refused' in answer) {
    const { code, message, problems } = answer.refused;
    throw new ControlError('reload-refused', `the relay keeps its policies: ${message} (${code})`, {
      ...(problems.length > 1 && { hint: problems.join('; ') }),
    });
  }
  throw new ControlError('reload-refused', 'the relay did not answer as this version expects', {
    hint: 'its log says whether it reloaded',
  });
}

/**
 * Asks the relay of a data directory to hand its log over to the next key.
 * @throws ControlError `relay-not-running`, `log-key-not-rotated`; Error of a system call
 */
export async function askRotation(dataDir: string): Promise<RotationAnswer> {
  const answer = await ask(dataDir, { do: 'rotate-log-key' });
  if (answer !== null && 'rotated' in answer) return answer.rotated;
  if (answer !== null && 'refused' in answer) {
    const { code, message } = answer.refused;
    throw new ControlError(
      'log-key-not-rotated',
      `the relay did not rotate its log’s key: ${message} (${code})`,
      {
        hint: 'its log says more; what was begun is finished at its next start at the latest',
      },
    );
  }
  throw new ControlError('log-key-not-rotated', 'the relay did not answer as this version expects', {
    hint: 'its log says whether the key was rotated',
  });
}

/**
 * Asks the relay of a data directory to let people in although there is no room for the record but the reserve's.
 * @throws ControlError `relay-not-running`, `break-glass-refused`; Error of a system call
 */
export async function askBreakGlass(dataDir: string, asked: AskedBreakGlass): Promise<BreakGlassAnswer> {
  const request = { do: 'break-glass' as const, ...asked };
  if (!BreakGlass.safeParse({ v: 1, ...request }).success)
    throw new ControlError('break-glass-refused', 'that cannot be asked for', {
      hint: 'at most 4 hours, 100 people, and a reason of 1 to 1024 characters',
    });
  const answer = await ask(dataDir, request);
  if (answer !== null && 'opened' in answer) return answer.opened;
  if (answer !== null && 'refused' in answer) {
    const { code, message } = answer.refused;
    throw new ControlError('break-glass-refused', `the relay lets nobody in: ${message} (${code})`);
  }
  throw new ControlError('break-glass-refused', 'the relay did not answer as this version expects', {
    hint: 'its log says whether break-glass was opened',
  });
}

/**
 * Asks the relay of a data directory to erase recordings.
 * @throws ControlError `relay-not-running`, `retention-refused`; Error of a system call
 */
export async function askErasure(dataDir: string, asked: AskedErasure): Promise<ErasureAnswer> {
  const answer = await ask(dataDir, { do: 'erase', ...asked });
  if (answer !== null && 'erased' in answer) return answer.erased;
  throw retentionRefused(answer);
}

/** The same to place a hold, or to release one. @returns its id */
export async function askHold(
  dataDir: string,
  asked: AskedHold | { readonly hold: string; readonly operator: OperatorAct },
): Promise<string> {
  const answer = await ask(
    dataDir,
    'hold' in asked ? { do: 'release-hold', ...asked } : { do: 'place-hold', ...asked },
  );
  if (answer !== null && 'hold' in answer) return answer.hold;
  throw retentionRefused(answer);
}

function retentionRefused(answer: Answer | null): ControlError {
  if (answer !== null && 'refused' in answer)
    return new ControlError('retention-refused', `${answer.refused.message} (${answer.refused.code})`);
  return new ControlError('retention-refused', 'the relay did not answer as this version expects');
}

type Unversioned<R> = R extends unknown ? Omit<R, 'v'> : never;

/** Null when the answer is none of this version. @throws ControlError `relay-not-running`; Error of a system call */
async function ask(dataDir: string, request: Unversioned<Request>): Promise<Answer | null> {
  const file = controlSocket(dataDir);
  const socket = Buffer.byteLength(file) > longestPathBytes ? null : await connect(file);
  if (socket === null)
    throw new ControlError('relay-not-running', `no relay answers at ${file}`, {
      hint: 'is it running, with this configuration? Its next start reads the policies; SIGHUP asks it to reload as well',
    });
  try {
    socket.write(`${JSON.stringify({ v: 1, ...request })}\n`);
    return Answer.safeParse(await readLine(socket, answerTimeoutMs)).data ?? null;
  } finally {
    socket.destroy();
  }
}

/** Null when nobody listens. */
function connect(file: string): Promise<net.Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(file);
    socket.once('connect', () => {
      socket.removeAllListeners('error').on('error', () => socket.destroy());
      resolve(socket);
    });
    socket.once('error', (error) => {
      if (hasErrno(error, 'ENOENT', 'ECONNREFUSED')) resolve(null);
      else reject(error);
    });
  });
}

/** One line as JSON; undefined when it is none, or when the other end leaves or stalls before it. */
function readLine(socket: net.Socket, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => settle(), timeoutMs);
    const settle = (line?: string): void => {
      clearTimeout(timer);
      resolve(line === undefined ? undefined : json(line));
    };
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end !== -1) settle(text.slice(0, end));
      else if (text.length > longestLine) settle();
    });
    socket.once('close', () => settle());
    socket.on('error', () => socket.destroy());
  });
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
