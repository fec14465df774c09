/** Whose connection is it: the parsing of the kernel's table, and what counts as a doubt. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { endianness } from 'node:os';
import { PeerUids } from '../../src/system/peer-uid.ts';
import type { TableReader } from '../../src/system/peer-uid.ts';

const accepted = {
  localAddress: '127.0.0.1',
  localPort: 15432,
  remoteAddress: '127.0.0.1',
  remotePort: 54321,
};
const heading =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const loopback = endianness() === 'LE' ? '0100007F' : '7F000001';
const mapped = `${endianness() === 'LE' ? '0000000000000000FFFF0000' : '00000000000000000000FFFF'}${loopback}`;
const [peerPort, ownPort] = ['D431', '3C48'];

interface Row {
  readonly local?: string;
  readonly remote?: string;
  readonly state?: string;
  readonly uid?: number;
  readonly inode?: number;
}

function row({ local, remote, state = '01', uid = 1000, inode = 7777 }: Row): string {
  const addresses = `${local ?? `${loopback}:${peerPort}`} ${remote ?? `${loopback}:${ownPort}`}`;
  const rest = `00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0000000000000000 20 0 0 10 -1`;
  return `   3: ${addresses} ${state} ${rest}`.padEnd(149) + '\n';
}

function tables(tcp: string, tcp6 = ''): TableReader {
  return async function* (file) {
    const text = heading + (file === '/proc/net/tcp' ? tcp : tcp6);
    // In pieces that end anywhere.
    for (let at = 0; at < text.length; at += 61) yield text.slice(at, at + 61);
  };
}

const own = row({ local: `${loopback}:${ownPort}`, remote: `${loopback}:${peerPort}`, uid: 0 });

const cases: [name: string, tcp: string, tcp6: string, expected: number | null][] = [
  ['the peer by its own row', own + row({ uid: 1234 }), '', 1234],
  ['our own row is not the peer', own, '', null],
  [
    'a row of an IPv6 socket used for IPv4',
    own,
    row({ local: `${mapped}:${peerPort}`, remote: `${mapped}:${ownPort}` }),
    1000,
  ],
  ['another port', row({ remote: `${loopback}:3C49` }), '', null],
  ['another address of loopback', row({ local: `0200007F:${peerPort}` }), '', null],
  ['closed by its process: uid 0 without an owner', row({ uid: 0, inode: 0, state: '04' }), '', null],
  ['established, but without an owner', row({ uid: 0, inode: 0 }), '', null],
  ['waiting to be forgotten', row({ uid: 0, inode: 0, state: '06' }), '', null],
  ['its process has ended its direction and still reads', row({ state: '05' }), '', 1000],
  ['half-closed, then closed', row({ uid: 0, inode: 0, state: '05' }), '', null],
  ['a table that is empty', '', '', null],
  ['a line that is no row', 'nonsense\n', '', null],
];

for (const [name, tcp, tcp6, expected] of cases) {
  test(name, async () => {
    assert.equal(await new PeerUids(tables(tcp, tcp6)).find(accepted), expected);
  });
}

test('an address that is not IPv4 is not looked for', async () => {
  const found = await new PeerUids(tables(row({}))).find({ ...accepted, remoteAddress: '::1' });
  assert.equal(found, null);
});

test('a table that cannot be read says nothing', async () => {
  const peers = new PeerUids(() => {
    throw new Error('no such file');
  });
  assert.equal(await peers.find(accepted), null);
});

function readings(...rows: Row[]): TableReader {
  let reading = 0;
  return (file) => tables(file === '/proc/net/tcp' ? row(rows[reading++]!) : '')(file);
}

test('where a closed socket can pass for root, root takes two readings that agree', async () => {
  const find = (...rows: Row[]) => new PeerUids(readings(...rows), true).find(accepted);
  assert.equal(await find({ uid: 0 }, { uid: 0 }), 0);
  assert.equal(await find({ uid: 0 }, { uid: 0, inode: 0, state: '04' }), null);
  assert.equal(await find({ uid: 0 }, { uid: 0, inode: 5 }), null);
  assert.equal(await find({ uid: 1000 }), 1000);
  assert.equal(await new PeerUids(readings({ uid: 0 }), false).find(accepted), 0);
});

test('a row that one reading missed is found by the next', async () => {
  let readings = 0;
  const peers = new PeerUids((file) => tables(++readings > 3 ? row({ uid: 5 }) : '')(file));
  assert.equal(await peers.find(accepted), 5);
});

test('those who wait share a reading, and it began after each of them asked', async () => {
  let readings = 0;
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const began = Promise.withResolvers<void>();
  const peers = new PeerUids(async function* (file) {
    if (file !== '/proc/net/tcp') return;
    const mine = readings++;
    if (mine === 0) began.resolve();
    await gates[mine]?.promise;
    yield heading + row({ uid: mine === 0 ? 1 : 2 });
  });
  const first = peers.find(accepted);
  await began.promise;
  const later = [peers.find(accepted), peers.find(accepted), peers.find(accepted)];
  gates[0]!.resolve();
  assert.equal(await first, 1);
  gates[1]!.resolve();
  assert.deepEqual(await Promise.all(later), [2, 2, 2]);
  assert.equal(readings, 2);
});

test(
  'real connections of this process are its own',
  { skip: process.platform !== 'linux' && 'needs Linux' },
  async () => {
    const peers = new PeerUids();
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const found: Promise<number | null>[] = [];
    const all = Promise.withResolvers<void>();
    const sockets: net.Socket[] = [];
    server.on('connection', (socket) => {
      sockets.push(socket);
      const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
      found.push(peers.find({ localAddress, localPort, remoteAddress, remotePort }));
      if (found.length === 60) all.resolve();
    });
    for (let i = 0; i < 60; i++)
      sockets.push(net.connect({ port, host: i % 2 === 0 ? '127.0.0.1' : '::ffff:127.0.0.1' }));
    await all.promise;
    const uids = new Set(await Promise.all(found));
    for (const socket of sockets) socket.destroy();
    server.close();
    assert.deepEqual([...uids], [process.geteuid!()]);
  },
);
