/**
 * Whose process is at the other end of a loopback TCP connection? Linux says it in /proc/net/tcp and tcp6: the peer's
 * socket is a row of its own there, with the uid of who made it. https://docs.kernel.org/networking/proc_net_tcp.html
 *
 * Reading the table makes the kernel walk its whole hash of connections (milliseconds, whatever their number), so those
 * who wait share one reading, which must have begun after each of them was accepted, and readings keep a distance.
 *
 * Only a row that says all of it counts: exact addresses and ports in the peer's direction, established, still owned by
 * a process (a socket whose process has closed it shows uid 0). No row, or a doubt, is a no.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';

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
}

const maxReadings = 3;
/** After a reading, wait this many times as long as it took: checking takes at most a quarter of one core. */
const restFactor = 3;
const established = '01';
const line =
  /^ *\d+: ([0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4}) ([0-9A-F]{2}) \S+ \S+ \S+ +(\d+) +\d+ (\d+) /;

/** One table's rows in pieces of any size; opened anew for each reading. */
export type TableReader = (file: string) => AsyncIterable<string>;

export class PeerUids {
  readonly #read: TableReader;
  #waiting: Waiting[] = [];
  #reading = false;

  /** @param read replaced in tests */
  constructor(read: TableReader = readTable) {
    this.#read = read;
  }

  /** Uid of the peer's socket; null when the table does not say it beyond doubt. Never rejects. */
  find(connection: Accepted): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const rows = rowsOf(connection);
    if (rows === null) resolve(null);
    else this.#waiting.push({ ...rows, answer: resolve, misses: 0 });
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
      const restMs = restFactor * (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, restMs).unref());
    }
    this.#reading = false;
  }

  /** One reading for all of `group`; those that it did not show wait for another. */
  async #look(group: Waiting[]): Promise<void> {
    const found = new Map<string, number | null>();
    const open = new Set(group.map(({ row }) => row));
    await this.#scan('/proc/net/tcp', open, found);
    const mapped = group.filter(({ row }) => !found.has(row));
    if (mapped.length > 0)
      await this.#scan('/proc/net/tcp6', new Set(mapped.map(({ mappedRow }) => mappedRow)), found);
    this.#settle(group, found);
  }

  #settle(group: Waiting[], found: ReadonlyMap<string, number | null>): void {
    for (const waiting of group) {
      const uid = found.get(waiting.row) ?? found.get(waiting.mappedRow);
      waiting.misses += 1;
      if (uid !== undefined || found.has(waiting.row)) waiting.answer(uid ?? null);
      else if (waiting.misses < maxReadings) this.#waiting.push(waiting);
      else waiting.answer(null);
    }
  }

  /** Fills `found` with the uids of `wanted` rows, null where a row says no uid beyond doubt; stops when all are found. */
  async #scan(file: string, wanted: Set<string>, found: Map<string, number | null>): Promise<void> {
    let rest = '';
    for await (const piece of this.#read(file)) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop()!;
      for (const text of lines) {
        const row = line.exec(text);
        if (row === null || !wanted.has(row[1]!)) continue;
        const owned = row[2] === established && row[4] !== '0';
        found.set(row[1]!, owned ? Number(row[3]) : null);
        wanted.delete(row[1]!);
      }
      if (wanted.size === 0) return;
    }
  }
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
