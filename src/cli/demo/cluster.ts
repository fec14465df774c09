/**
 * A private PostgreSQL cluster: the server that is installed on this machine, run in a directory of the caller's, on
 * a port of its own, as an unprivileged user. Used by `hoop demo` and by the tests.
 *
 * Deliberately not a database administrator: no upgrade, no tuning, no durability (fsync is off; the data is thrown
 * away). Invariant: when `stop` has resolved the server has ended, and nothing but the caller's directory remains.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { HoopError } from '../../errors.ts';

const run = promisify(execFile);

/** `cluster-failed`: initdb or the server ended with an error; the text says what it printed. */
export class ClusterError extends HoopError<'cluster-failed'> {}

/** The uid and gid that a server process gets; undefined: our own. */
export interface Unprivileged {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: root becomes `postgres`, or `nobody` where there is none. */
export function unprivileged(): Unprivileged | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  );
  return accounts.get('postgres') ?? accounts.get('nobody') ?? { uid: 65534, gid: 65534 };
}

/** Where the server's programs are (`initdb`, `postgres`), newest version first; null: none is installed. */
export function findPostgres(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const candidates = [
    ...versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => path.join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(path.delimiter).filter((directory) => directory !== ''),
    '/opt/homebrew/opt/postgresql/bin',
    '/usr/pgsql/bin',
  ];
  return candidates.find(holdsServer) ?? null;
}

const holdsServer = (directory: string): boolean =>
  ['initdb', 'postgres'].every((program) => existsSync(path.join(directory, program)));

/** Creates `directory` (0700, owned by the server's user). Its parents must let that user through. */
export function serverDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const owner = unprivileged();
  if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
}

/**
 * Runs initdb: superuser `postgres` with `password`, SCRAM-SHA-256 on every connection.
 * @throws ClusterError `cluster-failed`
 */
export async function initCluster(binDir: string, dataDir: string, password: string): Promise<void> {
  const passwordFile = `${dataDir}.password`;
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const owner = unprivileged();
  if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
  const options = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync'];
  const locale = ['-E', 'UTF8', '--locale=C'];
  try {
    await run(path.join(binDir, 'initdb'), ['-D', dataDir, ...options, ...locale], {
      ...owner,
      cwd: path.dirname(dataDir),
      env: serverEnvironment(),
    });
  } catch (cause) {
    throw new ClusterError('cluster-failed', `initdb failed: ${messageOf(cause)}`, { cause });
  }
}

export interface Cluster {
  /** On 127.0.0.1; a Unix socket of the same number is in the data directory. */
  readonly port: number;
  readonly pid: number;
  /** Everything the server printed so far, newest last; for a test that looks for a secret in it. */
  log(): string;
  /** Ends the server (connections are cut) and resolves when it has gone. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the server over an initialised directory and resolves when it accepts connections.
 * @throws ClusterError `cluster-failed`
 */
export async function startCluster(
  binDir: string,
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const started = await launch(binDir, dataDir, { port: String(port), ...settings });
    if (typeof started !== 'string') return { port, ...started };
    // Somebody else took the port in between, or a killed predecessor's shared memory is still being given back.
    const passing = /could not bind|in use|lock file/i.test(started);
    if (!passing || attempt === 10) throw new ClusterError('cluster-failed', `postgres ended: ${started}`);
  }
}

const fixed = {
  listen_addresses: '127.0.0.1',
  logging_collector: 'off',
  lc_messages: 'C',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
};

/** The running server, or what it printed before it ended. */
async function launch(
  binDir: string,
  dataDir: string,
  settings: Readonly<Record<string, string>>,
): Promise<Omit<Cluster, 'port'> | string> {
  const all = { ...fixed, unix_socket_directories: dataDir, ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(path.join(binDir, 'postgres'), ['-D', dataDir, ...flags], {
    ...unprivileged(),
    cwd: dataDir,
    env: serverEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let log = '';
  const ready = await new Promise<boolean>((resolve) => {
    child.once('error', (error) => {
      log += error.message;
      resolve(false);
    });
    child.once('close', () => resolve(false));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4_000_000);
      if (text.includes('ready to accept connections')) resolve(true);
    });
  });
  if (!ready) return log;
  const cut = () => child.kill('SIGQUIT');
  process.once('exit', cut); // an uncaught error must not leave the server behind
  return {
    pid: child.pid!,
    log: () => log,
    stop: async () => {
      process.off('exit', cut);
      await end(child, ended);
    },
  };
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGINT'); // "fast": cut connections, write what is needed
    const impatient = setTimeout(() => child.kill('SIGQUIT'), 5_000);
    await ended;
    clearTimeout(impatient);
  }
}

/**
 * A port that was free a moment ago; whoever binds it must be ready to lose the race. It lies below those that systems
 * give to outgoing connections (32,768 on Linux, RFC 6335's 49,152 elsewhere), which would take it before it is bound. Processes
 * that run side by side look at different ports, and each at another one every time: a port may be bound much later.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    const port = firstPort + (nextPort++ % portsOfProcess);
    if (await isFree(port)) return port;
  }
  throw new ClusterError('cluster-failed', 'the loopback address gave no port');
}

const portsOfProcess = 199;
const firstPort = 20_000 + (process.pid % 64) * portsOfProcess;
let nextPort = randomInt(portsOfProcess);

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Nothing of the caller's PG* variables or locale decides how the server behaves. */
const serverEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
