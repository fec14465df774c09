/** The loads of the bench. Each takes a path and gives one figure; the client programs cost the same on every path. */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Path } from './paths.ts';
import { cpuSeconds, residentKiB } from './usage.ts';

const run = promisify(execFile);

export interface Load {
  readonly binDir: string;
  /** A user without password, so that the cheapest client can use every path. */
  readonly user: string;
  /**
   * A user whom the server asks for SCRAM-SHA-256, as it asks the relay: for connections, of which signing in is a part.
   */
  readonly withPassword: { readonly user: string; readonly password: string };
  readonly database: string;
  readonly seconds: number;
  readonly bulkRows: number;
  /** Rows of `people`, each with an e-mail address, a card number and a social security number. */
  readonly people: number;
  readonly idleConnections: number;
}

export interface Scenario {
  readonly name: string;
  readonly unit: string;
  /** Higher is better, unless this says otherwise. */
  readonly lowerIsBetter?: true;
  /** Taken once a path instead of in every round. */
  readonly once?: true;
  /** What the ratio is against; null: the figure stands alone. */
  readonly against: 'direct' | 'hoop' | null;
  /** Names of the paths that it is for; absent: all but the one that masks. */
  readonly ways?: readonly string[];
  measure(path: Path, load: Load): Promise<number>;
}

function pgbench(
  name: string,
  options: readonly string[],
  clients: number,
  as: 'user' | 'withPassword' = 'user',
): Scenario {
  return {
    name,
    unit: 'tps',
    against: 'direct',
    measure: async ({ port }, load) => {
      const [user, secret] =
        as === 'user'
          ? [load.user, {}]
          : [load.withPassword.user, { PGPASSWORD: load.withPassword.password }];
      const common = ['-n', '-h', '127.0.0.1', '-p', String(port), '-U', user, '-T', String(load.seconds)];
      const shape = ['-c', String(clients), '-j', clients > 1 ? '2' : '1'];
      const { stdout } = await run(
        path.join(load.binDir, 'pgbench'),
        [...common, ...shape, ...options, load.database],
        {
          env: { PATH: process.env['PATH'], PGSSLMODE: 'disable', ...secret },
        },
      );
      const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1];
      if (failed !== undefined && failed !== '0') throw new Error(`${failed} transactions failed`);
      const [, tps] = /^tps = ([\d.]+)/m.exec(stdout)!;
      return Number(tps);
    },
  };
}

const table = 'SELECT id, name, note, amount, created FROM bulk';

/** Bytes and seconds of one statement's answer. */
async function read(port: number, load: Load, sql: string): Promise<{ bytes: number; seconds: number }> {
  const script = path.join(import.meta.dirname, 'raw-reader.ts');
  const { stdout } = await run(process.execPath, [script, String(port), load.user, load.database, sql]);
  const [bytes, seconds] = stdout.trim().split(' ').map(Number);
  return { bytes: bytes!, seconds: seconds! };
}

function bulk(name: string, sql: (rows: number) => string): Scenario {
  return {
    name,
    unit: 'MB/s',
    against: 'direct',
    measure: async ({ port }, load) => {
      const { bytes, seconds } = await read(port, load, sql(load.bulkRows));
      return bytes / seconds / 1e6;
    },
  };
}

const copy = (rows: number) => `COPY (${table} LIMIT ${rows}) TO STDOUT`;

function cpuPerGigabyte(name: string, side: 'near' | 'far'): Scenario {
  return {
    name,
    unit: 'CPU s/GB',
    lowerIsBetter: true,
    against: null,
    measure: async (way, load) => {
      const before = cpuSeconds(way[side]);
      const { bytes } = await read(way.port, load, copy(load.bulkRows));
      return ((cpuSeconds(way[side]) - before) / bytes) * 1e9;
    },
  };
}

/** Delivered bytes for what the relay's process used until the last of them, all threads. */
function bytesPerCpu(
  name: string,
  ways: readonly string[],
  against: 'hoop' | null,
  sql: (load: Load) => string,
): Scenario {
  return {
    name,
    unit: 'MB/CPU s',
    against,
    ways,
    measure: async ({ port, far }, load) => {
      await quiet(far); // what is still sealed of the last load is not this one's
      const before = cpuSeconds(far);
      const { bytes } = await read(port, load, sql(load));
      return bytes / (cpuSeconds(far) - before) / 1e6;
    },
  };
}

/** Resolves when these processes have all but rested for a moment. */
async function quiet(pids: readonly number[]): Promise<void> {
  for (;;) {
    const before = cpuSeconds(pids);
    await setTimeout(300);
    if (cpuSeconds(pids) - before < 0.02) return;
  }
}

const people = (columns: string) => (load: Load) => `SELECT ${columns} FROM people LIMIT ${load.people}`;
const copyOf = (select: (load: Load) => string) => (load: Load) => `COPY (${select(load)}) TO STDOUT`;
const two = people('id, name, email, card, note, created');
const three = people('id, name, email, card, ssn, note, created');
const plain = ({ people: rows }: Load) => `${table} LIMIT ${rows}`;
const masking = ['hoop (masking)'];
const both = ['hoop', 'hoop (masking)'];

function cpuPerTransaction(side: 'near' | 'far'): Scenario {
  const inner = pgbench('', ['-S', '-M', 'prepared'], 16);
  return {
    name: `CPU per transaction, ${side === 'near' ? 'client’s' : 'server’s'} end`,
    unit: 'µs',
    lowerIsBetter: true,
    against: null,
    measure: async (way, load) => {
      const before = cpuSeconds(way[side]);
      const tps = await inner.measure(way, load);
      return ((cpuSeconds(way[side]) - before) / (tps * load.seconds)) * 1e6;
    },
  };
}

function idle(name: string, side: 'near' | 'far'): Scenario {
  return {
    name,
    unit: 'KiB',
    lowerIsBetter: true,
    once: true,
    against: null,
    measure: async (way, load) => {
      const sockets: Socket[] = [];
      for (let i = 0; i < 20; i++) sockets.push(await signIn(way.port, load)); // what the first ones cost once
      const before = residentKiB(way[side]);
      for (let i = 0; i < load.idleConnections; i++) sockets.push(await signIn(way.port, load));
      const grown = residentKiB(way[side]) - before;
      for (const socket of sockets) socket.destroy();
      return grown / load.idleConnections;
    },
  };
}

/** A connection that is ready for a query and sends none. */
async function signIn(port: number, load: Load): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  const text = Buffer.from(`user\0${load.user}\0database\0${load.database}\0\0`);
  const header = Buffer.alloc(8);
  header.writeInt32BE(text.length + 8, 0);
  header.writeInt32BE(196_608, 4);
  socket.write(Buffer.concat([header, text]));
  let all = Buffer.alloc(0);
  while (all.at(-6) !== 0x5a) {
    const [chunk]: Buffer[] = await once(socket, 'data');
    all = Buffer.concat([all, chunk!]);
  }
  return socket;
}

export const scenarios: readonly Scenario[] = [
  pgbench('-S prepared, 1 client', ['-S', '-M', 'prepared'], 1),
  pgbench('-S prepared, 16 clients', ['-S', '-M', 'prepared'], 16),
  pgbench('-S simple, 16 clients', ['-S', '-M', 'simple'], 16),
  pgbench('-S extended, 16 clients', ['-S', '-M', 'extended'], 16),
  pgbench('TPC-B prepared, 16 clients', ['-M', 'prepared'], 16),
  pgbench('new connections, 8 clients', ['-S', '-C'], 8, 'withPassword'),
  bulk('COPY', copy),
  bulk('SELECT', (rows) => `${table} LIMIT ${rows}`),
  cpuPerTransaction('near'),
  cpuPerTransaction('far'),
  cpuPerGigabyte('CPU per GB of COPY, client’s end', 'near'),
  cpuPerGigabyte('CPU per GB of COPY, server’s end', 'far'),
  bytesPerCpu('masked COPY, 2 values a row', masking, null, copyOf(two)),
  bytesPerCpu('masked SELECT, 2 values a row', masking, null, two),
  bytesPerCpu('masked COPY, 3 values a row', masking, null, copyOf(three)),
  bytesPerCpu('masked SELECT, 3 values a row', masking, null, three),
  bytesPerCpu('COPY without sensitive values', both, 'hoop', copyOf(plain)),
  bytesPerCpu('SELECT without sensitive values', both, 'hoop', plain),
  idle('memory per idle connection, client’s end', 'near'),
  idle('memory per idle connection, server’s end', 'far'),
];
