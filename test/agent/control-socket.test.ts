/** The background agent's socket: who may speak, what is understood, and what a broken peer can do to it (nothing). */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { ControlRequest } from '../../src/agent/control-protocol.ts';
import { failureAnswer, failureOf } from '../../src/agent/control-protocol.ts';
import { askAgent, serveControl, socketPath } from '../../src/agent/control-socket.ts';
import type { Answerer, ControlServer } from '../../src/agent/control-socket.ts';
import { AgentError } from '../../src/agent/error.ts';
import { RelayProblem } from '../../src/agent/problem.ts';

const status = { v: 1, op: 'status' } as const;
let base = '';
let count = 0;
const servers: ControlServer[] = [];
before(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'hoop-ctl-'));
});
after(async () => {
  for (const server of servers) server.close();
  await rm(base, { recursive: true, force: true });
});

async function serve(answer: Answerer, idle = () => {}): Promise<string> {
  const runtime = path.join(base, String(count++));
  servers.push(await serveControl(runtime, answer, idle));
  return runtime;
}

/** Writes raw bytes and gives what came back until the socket closed. */
async function say(runtime: string, bytes: string | Buffer): Promise<string> {
  const socket = net.connect(socketPath(runtime));
  socket.on('error', () => {});
  socket.write(bytes);
  return text(socket).catch(() => '');
}

const nothing: Answerer = async () => ({ ok: true, served: [] });

test('a question and its answer; the socket is 0600 in a 0700 directory', async () => {
  const asked: ControlRequest[] = [];
  const runtime = await serve(async (request) => {
    asked.push(request);
    return { ok: true, served: [] };
  });
  assert.deepEqual(await askAgent(runtime, status), { ok: true, served: [] });
  assert.deepEqual(asked, [status]);
  assert.equal((await stat(runtime)).mode & 0o777, 0o700);
  assert.equal((await stat(socketPath(runtime))).mode & 0o777, 0o600);
});

test('nobody there, or a dead process’s socket: none', async () => {
  assert.equal(await askAgent(path.join(base, 'never'), status), null);
  const runtime = await serve(nothing);
  servers.at(-1)!.close();
  assert.equal(await askAgent(runtime, status), null);
});

test('a refusal arrives with its code, hint and status', async () => {
  const runtime = await serve(async () => {
    throw new RelayProblem({ title: 'You may not.', code: 'connect-denied', status: 403, hint: 'ask' });
  });
  const answer = await askAgent(runtime, status);
  assert.ok(answer !== null && !answer.ok);
  const { code, message, hint, status: http } = failureOf(answer);
  assert.deepEqual([code, message, hint, http], ['connect-denied', 'You may not.', 'ask', 403]);
});

test('a failure that is not ours is told without its text', () => {
  const answer = failureAnswer(new Error('password=abc'));
  assert.doesNotMatch(JSON.stringify(answer), /abc/);
});

const wrong: [what: string, bytes: string | Buffer][] = [
  ['no JSON', 'hello\n'],
  ['another shape', '{"v":1,"op":"format-disk"}\n'],
  ['a version to come', '{"v":2,"op":"status"}\n'],
  ['an unknown key', '{"v":1,"op":"status","more":1}\n'],
  ['a port out of range', JSON.stringify({ v: 1, op: 'connect', port: 70_000 }) + '\n'],
  ['invalid UTF-8', Buffer.from([0xff, 0xfe, 0x0a])],
  ['a line longer than the limit', 'x'.repeat(1 << 20)],
];
for (const [what, bytes] of wrong)
  test(`${what}: refused, never acted upon, and the next one is served`, async () => {
    let acted = 0;
    const runtime = await serve(async () => {
      acted++;
      return { ok: true, served: [] };
    });
    assert.match(await say(runtime, bytes), /agent-request-invalid|^$/);
    assert.equal(acted, 0);
    assert.deepEqual(await askAgent(runtime, status), { ok: true, served: [] });
  });

test('a request in pieces is one; the agent learns when the asker has gone', async () => {
  const { promise, resolve } = Promise.withResolvers<AbortSignal>();
  const finish = Promise.withResolvers<void>();
  const runtime = await serve(async (_, gone) => {
    resolve(gone);
    await finish.promise;
    return { ok: true, served: [] };
  });
  const socket = net.connect(socketPath(runtime));
  for (const character of JSON.stringify(status)) socket.write(character);
  socket.write('\n');
  const gone = await promise;
  assert.equal(gone.aborted, false);
  socket.destroy();
  await once(gone, 'abort');
  finish.resolve();
});

test('idle is told when the last connection has gone', async () => {
  const idle = Promise.withResolvers<void>();
  const runtime = await serve(nothing, () => idle.resolve());
  await askAgent(runtime, status);
  await idle.promise;
  assert.equal(servers.at(-1)!.busy, 0);
});

test('a directory that others can enter, a plain file as the socket, a name too long: refused', async () => {
  const open = path.join(base, 'open');
  await mkdir(open);
  await chmod(open, 0o755);
  await assert.rejects(askAgent(open, status), { code: 'private-path-unsafe' });
  await assert.rejects(
    serveControl(open, nothing, () => {}),
    { code: 'private-path-unsafe' },
  );
  const file = path.join(base, 'file');
  await mkdir(path.join(file, 'agent.sock'), { recursive: true });
  await chmod(file, 0o700);
  await assert.rejects(askAgent(file, status), { code: 'agent-unreachable' });
  assert.throws(() => socketPath(`/${'x'.repeat(120)}`), AgentError);
});
