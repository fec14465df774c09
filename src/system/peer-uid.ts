/**
 * Whose process is at the other end of a loopback TCP connection? Linux says it in /proc/net/tcp and tcp6: the peer's
 * socket is a row of its own there, with the uid of who made it. https://docs.kernel.org/networking/proc_net_tcp.html
 *
 * Where one socket can be asked for (`socket-lookup.ts`), that is asked first, and only a clear yes counts; else the table
 * is read.
 *
 * Reading the table makes the kernel walk its whole hash of connections (milliseconds, whatever their number), so those
 * who wait share one reading, which must have begun after each of them was accepted, and readings keep a distance.
 *
 * Only a row that says all of it counts: exact addresses and ports in the peer's direction, connected, still owned by a
 * process. No row, or a doubt, is a no.
 *
 * A socket whose process has closed it shows uid 0 and inode 0, whoever made it: without the look at the inode, anybody
 * could send bytes to a port of root's, close, and pass for root. Kernels before 6.17 fetch the two columns one after
 * the other, so that a close in between shows the inode and uid 0; there root's own connections take two readings that
 * agree.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness, release } from 'node:os';
import { openSocketLookup, type SocketLookup } from './socket-lookup.ts';

/** An accepted IPv4 connection, from this side. */
export interface Accepted {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

interface Waiting {
  /** The row's two address columns, as tcp and as tcp6 (an IPv6 socket that was used for IPv4) print them. */
  readonly row: string;
  readonly mappedRow: string;
  readonly answer: (uid: number | null) => void;
  /** Readings that did not show it; a row can be missed when rows before it vanish during the reading. */
  misses: number;
  /** Inode of a row with uid 0 that one reading has shown; null when none has. */
  root: string | null;
}

/** What a reading said of a row; `uid` null where nobody owns the socket. */
interface Shown {
  readonly uid: number | null;
  readonly inode: string;
}

const maxReadings = 3;
/** After a reading, wait this many times as long as it took: checking takes at most a quarter of one core. */
const restFactor = 3;
/** …and no longer than this: on a busy machine a reading takes long without costing more. */
const longestRestMs = 25;
/** Established, or the peer has ended its own direction (FIN_WAIT1, FIN_WAIT2) and still reads. */
const connectedStates = new Set([1, 4, 5]);
const connected = new Set(['01', '04', '05']);
const line =
  /^ *\d+: ([0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4}) ([0-9A-F]{2}) \S+ \S+ \S+ +(\d+) +\d+ (\d+) /;

/** One table's rows in pieces of any size; opened anew for each reading. */
export type TableReader = (file: string) => AsyncIterable<string>;

export class PeerUids {
  readonly #read: TableReader;
  #waiting: Waiting[] = [];
  #reading = false;
  readonly #rootTakesTwo: boolean;
  readonly #lookup: Promise<SocketLookup | null>;

  /** @param read replaced in tests, and the other two */
  constructor(
    read: TableReader = readTable,
    rootTakesTwo = columnsTearApart(release()),
    lookup: Promise<SocketLookup | null> = Promise.resolve(null),
  ) {
    this.#read = read;
    this.#rootTakesTwo = rootTakesTwo;
    this.#lookup = lookup;
  }

  /** With everything that this machine offers. */
  static ofSystem(): PeerUids {
    return new PeerUids(readTable, columnsTearApart(release()), openSocketLookup());
  }

  /** Uid of the peer's socket; null when the kernel does not say it beyond doubt. Never rejects. */
  async find(connection: Accepted): Promise<number | null> {
    const lookup = await this.#lookup;
    const found = lookup?.({
      localAddress: connection.remoteAddress,
      localPort: connection.remotePort,
      remoteAddress: connection.localAddress,
      remotePort: connection.localPort,
    });
    if (found && found.inode !== 0 && connectedStates.has(found.state)) return found.uid;
    return this.#findInTable(connection);
  }

  #findInTable(connection: Accepted): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const rows = rowsOf(connection);
    if (rows === null) resolve(null);
    else this.#waiting.push({ ...rows, answer: resolve, misses: 0, root: null });
    if (!this.#reading) void this.#serve();
    return promise;
  }

  async #serve(): Promise<void> {
    this.#reading = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const began = performance.now();
      try {
        await this.#look(group);
      } catch {
        // A table that cannot be read says nothing about anybody.
        for (const waiting of group) waiting.misses = maxReadings;
        this.#settle(group, new Map());
      }
      const restMs = Math.min(restFactor * (performance.now() - began), longestRestMs);
      await new Promise((resolve) => setTimeout(resolve, restMs).unref());
    }
    this.#reading = false;
  }

  /** One reading for all of `group`; those that it did not show wait for another. */
  async #look(group: Waiting[]): Promise<void> {
    const shown = new Map<string, Shown>();
    await this.#scan('/proc/net/tcp', new Set(group.map(({ row }) => row)), shown);
    const mapped = group.filter(({ row }) => !shown.has(row)).map(({ mappedRow }) => mappedRow);
    if (mapped.length > 0) await this.#scan('/proc/net/tcp6', new Set(mapped), shown);
    this.#settle(group, shown);
  }

  #settle(group: Waiting[], shown: ReadonlyMap<string, Shown>): void {
    for (const waiting of group) {
      const seen = shown.get(waiting.row) ?? shown.get(waiting.mappedRow);
      if (seen === undefined) {
        waiting.misses += 1;
        if (waiting.misses < maxReadings) this.#waiting.push(waiting);
        else waiting.answer(null);
      } else if (seen.uid !== 0 || !this.#rootTakesTwo || waiting.root === seen.inode) {
        waiting.answer(seen.uid);
      } else if (waiting.root === null) {
        waiting.root = seen.inode;
        this.#waiting.push(waiting);
      } else {
        waiting.answer(null);
      }
    }
  }

  /** Adds what the table says of `wanted` rows; stops when all are found. */
  async #scan(file: string, wanted: Set<string>, shown: Map<string, Shown>): Promise<void> {
    let rest = '';
    for await (const piece of this.#read(file)) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop()!;
      for (const text of lines) {
        const row = line.exec(text);
        if (row === null || !wanted.has(row[1]!)) continue;
        const [, addresses, state, uid, inode] = row;
        const owned = connected.has(state!) && inode !== '0';
        shown.set(addresses!, { uid: owned ? Number(uid) : null, inode: inode! });
        wanted.delete(addresses!);
      }
      if (wanted.size === 0) return;
    }
  }
}

/** Since Linux 6.17 a socket keeps its uid when it is closed; a version that cannot be read counts as older. */
function columnsTearApart(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  return !(major > 6 || (major === 6 && minor >= 17));
}

/** The peer's row: its own address first, ours second. */
function rowsOf(connection: Accepted): { row: string; mappedRow: string } | null {
  const [peer, own] = [hexAddress(connection.remoteAddress), hexAddress(connection.localAddress)];
  if (peer === null || own === null) return null;
  const [peerPort, ownPort] = [hexPort(connection.remotePort), hexPort(connection.localPort)];
  return {
    row: `${peer}:${peerPort} ${own}:${ownPort}`,
    mappedRow: `${mappedPrefix}${peer}:${peerPort} ${mappedPrefix}${own}:${ownPort}`,
  };
}

/** The kernel prints 32-bit words of network order as numbers of its own order. */
const littleEndian = endianness() === 'LE';
const mappedPrefix = littleEndian ? '0000000000000000FFFF0000' : '00000000000000000000FFFF';

function hexAddress(address: string): string | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return null;
  const bytes = Buffer.from(littleEndian ? parts.toReversed() : parts);
  return bytes.toString('hex').toUpperCase();
}

const hexPort = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');

async function* readTable(file: string): AsyncGenerator<string> {
  const handle: FileHandle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(65_536);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.toString('latin1', 0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
