/**
 * The tunnel alone, against plain sockets in the same run: bulk, small round trips over 16 streams, memory of idle
 * streams. Both ends of a measurement run in one process, so the ratios say what the framing costs in CPU.
 * `node --expose-gc test/bench/tunnel.ts [--tls] [--quick]`
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { ByteChannel, ByteReceiver } from '../../src/bytes/channel.ts';
import { SocketChannel } from '../../src/system/socket-channel.ts';
import { openEnds, selfSigned } from '../wire/yamux/websocket-ends.ts';

const secure = process.argv.includes('--tls');
const quick = process.argv.includes('--quick');
const bulkBytes = (quick ? 256 : 1024) * 1024 * 1024;
const roundTrips = quick ? 20_000 : 100_000;
const parallel = 16;

/** Two joined channels: what is written into `near` comes out of `far`. */
interface Link {
  readonly near: ByteChannel;
  readonly far: ByteChannel;
}

const idle: ByteReceiver = { data: () => {}, end: () => {}, drained: () => {}, closed: () => {} };

async function plainLinks(count: number): Promise<{ links: Link[]; close: () => Promise<void> }> {
  const certificate = secure ? selfSigned() : null;
  const options = { allowHalfOpen: true, noDelay: true };
  const server =
    certificate === null ? net.createServer(options) : tls.createServer({ ...options, ...certificate });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const links: Link[] = [];
  for (let i = 0; i < count; i++) {
    const accepted = once(server, certificate === null ? 'connection' : 'secureConnection');
    const where = { port, host: '127.0.0.1', allowHalfOpen: true };
    const socket =
      certificate === null ? net.connect(where) : tls.connect({ ...where, ca: certificate.cert });
    const [far] = (await accepted) as [net.Socket];
    links.push({ near: new SocketChannel(socket), far: new SocketChannel(far) });
  }
  const close = async (): Promise<void> => {
    for (const { near, far } of links) {
      near.destroy();
      far.destroy();
    }
    await new Promise((resolve) => server.close(resolve));
  };
  return { links, close };
}

async function tunnelLinks(count: number): Promise<{ links: Link[]; close: () => Promise<void> }> {
  const ends = await openEnds({ secure });
  const links: Link[] = [];
  for (let i = 0; i < count; i++) {
    const far = new Promise<ByteChannel>((resolve) => (ends.onStream = resolve));
    const near = ends.client.mux.open()!;
    links.push({ near, far: await far });
  }
  return { links, close: async () => void (await ends[Symbol.asyncDispose]()) };
}

/** MB per second and CPU seconds per GB, both ends together. */
async function bulk({ near, far }: Link): Promise<{ rate: number; cpu: number }> {
  const done = Promise.withResolvers<void>();
  let received = 0;
  far.receive({
    ...idle,
    data: (chunk) => {
      received += chunk.length;
      if (received === bulkBytes) done.resolve();
    },
  });
  let sent = 0;
  // 32 KiB as PostgreSQL and a socket read give it; allocated for each, since the channel owns it.
  const fill = (): void => {
    while (sent < bulkBytes) {
      sent += 32 * 1024;
      if (!near.write(Buffer.allocUnsafe(32 * 1024))) return;
    }
  };
  near.receive({ ...idle, drained: fill });
  const began = performance.now();
  const cpu = process.cpuUsage();
  fill();
  await done.promise;
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - began) / 1000;
  return { rate: bulkBytes / 1e6 / seconds, cpu: (user + system) / 1e6 / (bulkBytes / 1e9) };
}

/** Microseconds of CPU per round trip of 100 bytes, all links at once. */
async function small(links: Link[]): Promise<number> {
  let left = roundTrips;
  const done = Promise.withResolvers<void>();
  for (const { near, far } of links) {
    far.receive({ ...idle, data: (chunk) => void far.write(chunk) });
    near.receive({
      ...idle,
      data: () => {
        left -= 1;
        if (left > 0) near.write(Buffer.alloc(100));
        else done.resolve();
      },
    });
  }
  const cpu = process.cpuUsage();
  for (const { near } of links) near.write(Buffer.alloc(100));
  await done.promise;
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / roundTrips;
}

/** KiB of RSS per idle link, both ends together. */
async function memory(open: typeof tunnelLinks): Promise<number> {
  const count = 1000;
  const collect = globalThis.gc ?? (() => {});
  collect();
  const before = process.memoryUsage().rss;
  const { links, close } = await open(count);
  for (const { near, far } of links) {
    near.receive(idle);
    far.receive(idle);
  }
  collect();
  const grown = process.memoryUsage().rss - before;
  await close();
  return grown / 1024 / count;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function measure(
  open: typeof tunnelLinks,
): Promise<{ rate: number; cpu: number; small: number; one: number }> {
  const bulkEnds = await open(1);
  const { rate, cpu } = await bulk(bulkEnds.links[0]!);
  await bulkEnds.close();
  const smallEnds = await open(parallel);
  const each = await small(smallEnds.links);
  await smallEnds.close();
  const oneEnd = await open(1);
  const one = await small(oneEnd.links);
  await oneEnd.close();
  return { rate, cpu, small: each, one };
}

const idleTunnel = await memory(tunnelLinks);
const idlePlain = await memory(plainLinks);
const rounds: { plain: Awaited<ReturnType<typeof measure>>; tunnel: Awaited<ReturnType<typeof measure>> }[] =
  [];
for (let round = 0; round < (quick ? 1 : 5); round++)
  rounds.push({ plain: await measure(plainLinks), tunnel: await measure(tunnelLinks) });

const row = (name: string, pick: (of: (typeof rounds)[0]['plain']) => number, unit: string) => {
  const [plain, tunnel] = [
    median(rounds.map((r) => pick(r.plain))),
    median(rounds.map((r) => pick(r.tunnel))),
  ];
  return [name, `${plain.toFixed(1)} ${unit}`, `${tunnel.toFixed(1)} ${unit}`, (tunnel / plain).toFixed(2)];
};
const table = [
  ['', secure ? 'TLS sockets' : 'sockets', 'tunnel', 'ratio'],
  row('bulk, one stream', (of) => of.rate, 'MB/s'),
  row('bulk, CPU per GB', (of) => of.cpu * 1000, 'ms'),
  row(`100-byte round trip, ${parallel} streams, CPU`, (of) => of.small, 'µs'),
  row('100-byte round trip, one stream, CPU', (of) => of.one, 'µs'),
  ['idle stream, RSS of both ends', `${idlePlain.toFixed(1)} KiB`, `${idleTunnel.toFixed(1)} KiB`, ''],
];
for (const cells of table) process.stdout.write(`${cells.map((cell) => cell.padEnd(44)).join('')}\n`);
