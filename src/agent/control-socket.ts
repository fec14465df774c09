/**
 * The background agent's socket: `agent.sock`, 0600, in the 0700 runtime directory. Node.js does not tell a Unix
 * socket's peer, so the directory is the check: only its owner can reach the socket, and only its owner can have put
 * it there. Both ends refuse a directory or a socket that is not theirs alone.
 */
import { chmodSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { hasErrno } from '../errors.ts';
import { ensurePrivateDirectory } from '../system/private-file.ts';
import { ControlAnswer, ControlRequest, failureAnswer, lineLimitBytes } from './control-protocol.ts';
import { AgentError } from './error.ts';

/** `sun_path` holds 108 bytes on Linux, 104 elsewhere, with the final NUL. */
const longestPathBytes = 103;
/** A request comes at once; opening a session may wait for a target. */
const requestTimeoutMs = 5_000;
const answerTimeoutMs = 120_000;

/** @throws AgentError `agent-unreachable` when the directory's name is too long for a socket */
export function socketPath(runtime: string): string {
  const file = path.join(runtime, 'agent.sock');
  if (Buffer.byteLength(file) <= longestPathBytes) return file;
  throw new AgentError('agent-unreachable', `${file} is too long for a socket's name`, {
    hint: 'set XDG_RUNTIME_DIR to a shorter directory',
  });
}

export interface ControlServer {
  /** Requests and connections under way. */
  readonly busy: number;
  close(): void;
}

/** @param gone aborts when the CLI leaves before its answer */
export type Answerer = (request: ControlRequest, gone: AbortSignal) => Promise<ControlAnswer>;

/**
 * Listens; the caller holds the agent's lock, so a socket that is there belongs to a dead process.
 * @param idle called whenever the last connection has gone
 */
export async function serveControl(
  runtime: string,
  answer: Answerer,
  idle: () => void,
): Promise<ControlServer> {
  await ensurePrivateDirectory(runtime);
  const file = socketPath(runtime);
  await unlink(file).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      if (open.size === 0) idle();
    });
    void serveOne(socket, answer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(file, resolve);
  });
  chmodSync(file, 0o600);
  return {
    get busy() {
      return open.size;
    },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

async function serveOne(socket: net.Socket, answer: Answerer): Promise<void> {
  const gone = new AbortController();
  socket.once('error', () => socket.destroy());
  socket.once('close', () => gone.abort());
  try {
    const request = ControlRequest.safeParse(await readLine(socket, requestTimeoutMs));
    const result = request.success
      ? await answer(request.data, gone.signal).catch(failureAnswer)
      : failureAnswer(new AgentError('agent-request-invalid', 'the background agent is of another version'));
    socket.end(`${JSON.stringify(result)}\n`);
  } catch {
    socket.destroy();
  }
}

/**
 * Asks the agent; null when there is none.
 * @throws AgentError `agent-unreachable` when what answers is not an agent of ours; PrivateFileError
 */
export async function askAgent(runtime: string, request: ControlRequest): Promise<ControlAnswer | null> {
  const file = socketPath(runtime);
  try {
    await ensurePrivateDirectory(runtime);
    const stat = await lstat(file);
    if (!stat.isSocket() || (process.getuid !== undefined && stat.uid !== process.getuid()))
      throw new AgentError('agent-unreachable', `${file} is not your agent's socket`);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
  const socket = net.connect(file);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    socket.write(`${JSON.stringify(request)}\n`);
    const answer = ControlAnswer.safeParse(await readLine(socket, answerTimeoutMs));
    if (answer.success) return answer.data;
  } catch (error) {
    // Refused, or cut before a word: it has just ended, or it died; either way there is none now.
    if (hasErrno(error, 'ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE') || error instanceof CutError)
      return null;
    throw error;
  } finally {
    socket.destroy();
  }
  throw new AgentError('agent-unreachable', 'the background agent is of another version', {
    hint: 'hoop disconnect --all, with the version that started it',
  });
}

class CutError extends Error {}

/** One line, as JSON; undefined when it is none. @throws CutError when the peer ends before it */
function readLine(socket: net.Socket, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => {
      reject(new AgentError('agent-unreachable', 'the background agent does not answer'));
    }, timeoutMs);
    const settle = (done: () => void) => {
      clearTimeout(timer);
      done();
    };
    socket.on('data', (part) => {
      parts.push(part);
      length += part.length;
      if (part.includes(0x0a)) settle(() => resolve(json(Buffer.concat(parts).toString('utf8'))));
      else if (length > lineLimitBytes) settle(() => resolve(undefined));
    });
    socket.once('end', () => settle(() => reject(new CutError())));
    socket.once('close', () => settle(() => reject(new CutError())));
    socket.once('error', (error) => settle(() => reject(error)));
  });
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
