/** `hoop exec` at a database: texts of SQL, their results on stdout, notices and errors on stderr. */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Account } from '../../agent/account.ts';
import { AgentError } from '../../agent/error.ts';
import { userName } from '../../agent/postgres-client.ts';
import { openTunnel } from '../../agent/session-tunnel.ts';
import {
  isDenied,
  lost,
  messageOf,
  SqlClient,
  type SqlMessage,
  type SqlReceiver,
} from '../../agent/sql-client.ts';
import { HoopError } from '../../errors.ts';
import type { SessionAnswer } from '../../wire/api.ts';
import { visible } from '../colour.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Asked } from './asked.ts';
import type { Interrupts } from './interrupts.ts';
import { Timeout, timedOutExit, type ExecResult } from './program.ts';
import { exactly } from './quoting.ts';
import { CollectedResults } from './sql-document.ts';
import { sqlOutput } from './sql-output.ts';

export class SqlInputError extends HoopError<'sql-unreadable'> {}

/** The relay's own limit is far below. */
const longestText = 64 * 1024 * 1024;

interface Surroundings {
  readonly interrupts: Interrupts;
  readonly note: (line: string) => void;
}

/** @throws RelayProblem, AgentError: it did not come to an end of its own */
export async function runSql(
  account: Account,
  session: SessionAnswer,
  asked: Asked,
  { interrupts, note }: Surroundings,
): Promise<ExecResult> {
  const text = await textOf(asked);
  const notices: SqlMessage[] = [];
  const told = (message: SqlMessage): void => {
    notices.push(message);
    for (const line of linesOf(message)) note(line);
  };
  const tunnel = await openTunnel(account, session.session, interrupts.signal);
  const startedAt = performance.now();
  let timer: Timeout | null = null;
  try {
    const { principal } = await account.signIn.credential();
    const client = await SqlClient.connect(tunnel, session, userName(principal), told);
    timer = new Timeout(asked.timeoutMs, () => client.cancel());
    interrupts.to(() => client.cancel());
    const collected = asked.json ? new CollectedResults() : null;
    const running = client.run(text, collected ?? onStdout(client, asked, note));
    const ended = running.then(
      () => null,
      (error: unknown) => failureOf(error),
    );
    const end = await Promise.race([ended, timer.over, interrupts.stopped, collected?.full ?? never]);
    const error = typeof end === 'number' ? null : end;
    if (error !== null) for (const line of linesOf(error)) note(line);
    await Promise.race([client.close(), tunnel.closed]);
    const exitCode = typeof end === 'number' ? end : exitOf(error, timer, interrupts);
    const runMs = Math.round(performance.now() - startedAt);
    const { fired: timedOut } = timer;
    const results = collected?.results ?? [];
    return { exitCode, document: { exitCode, timedOut, results, notices, sqlError: error, runMs } };
  } catch (error) {
    const message = messageOf(error);
    if (message === null) throw error instanceof HoopError ? error : lost(error);
    for (const line of linesOf(message)) note(line);
    const runMs = Math.round(performance.now() - startedAt);
    const results = { results: [], notices, sqlError: message, timedOut: false };
    return { exitCode: exitCodes.bug, document: { exitCode: exitCodes.bug, ...results, runMs } };
  } finally {
    timer?.clear();
    tunnel.close();
  }
}

const never = new Promise<never>(() => undefined);

/** The server's own, or the end of the connection. */
function failureOf(error: unknown): SqlMessage {
  const message = messageOf(error);
  if (message !== null) return message;
  throw error instanceof HoopError ? error : lost(error);
}

function exitOf(error: SqlMessage | null, timer: Timeout, { interrupted }: Interrupts): number {
  if (timer.fired) return timedOutExit;
  if (error === null) return exitCodes.done;
  if (interrupted) return exitCodes.interrupted;
  return isDenied(error) ? exitCodes.denied : exitCodes.bug;
}

function onStdout(client: SqlClient, { format }: Asked, note: (line: string) => void): SqlReceiver {
  const { stdout } = process;
  const write = (piece: string | Buffer): boolean => {
    if (!stdout.writable || stdout.write(piece)) return true;
    stdout.once('drain', () => client.resume());
    return false;
  };
  return sqlOutput(format ?? (stdout.isTTY ? 'table' : 'csv'), { write, note });
}

/** As psql says it. */
function* linesOf({ severity, sqlstate, message, detail, hint }: SqlMessage): Generator<string> {
  const code = severity === 'NOTICE' ? '' : ` (${sqlstate})`;
  yield `${severity}:  ${visible(message)}${code}`;
  if (detail !== null) yield `DETAIL:  ${visible(detail)}`;
  if (hint !== null) yield `HINT:  ${visible(hint)}`;
}

async function textOf({ words, file, stdin }: Asked): Promise<string> {
  if (words !== null) return exactly(words.join(' '));
  if (file !== null) return readFile(file);
  if (stdin) return decoded(await readAll(process.stdin, 'stdin'), 'stdin');
  throw new SqlInputError('sql-unreadable', 'there is no SQL to run', {
    hint: "hoop exec NAME -- 'select 1'",
  });
}

async function readFile(file: string): Promise<string> {
  const handle = await open(file).catch((cause: unknown) => {
    throw new SqlInputError('sql-unreadable', `${file} cannot be read`, { cause });
  });
  return decoded(await readAll(handle.createReadStream(), file), file);
}

async function readAll(stream: Readable, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > longestText) throw new SqlInputError('sql-unreadable', `${name} is longer than 64 MiB`);
      parts.push(part);
    }
  } catch (cause) {
    if (cause instanceof HoopError) throw cause;
    throw new SqlInputError('sql-unreadable', `${name} cannot be read`, { cause });
  }
  return Buffer.concat(parts);
}

function decoded(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new AgentError('command-unquotable', `${name} is not UTF-8`, {
      hint: 'convert it: iconv -t UTF-8',
    });
  }
}
