/** One socket, asked of the kernel: what its answer says, and that only a clear yes counts. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { PeerUids } from '../../src/system/peer-uid.ts';
import { lookupOver, openSocketLookup, type FoundSocket } from '../../src/system/socket-lookup.ts';

const lookup = await openSocketLookup();
const skip = lookup === null && 'no netlink here: not Linux, or koffi is not installed';

const server = net.createServer({ allowHalfOpen: true });
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as net.AddressInfo;
after(() => server.close());

async function connection(host = '127.0.0.1') {
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const client = net.connect({ port, host });
  const socket = await accepted;
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  const fromHere = { localAddress, localPort, remoteAddress, remotePort };
  const fromThere = {
    localAddress: remoteAddress,
    localPort: remotePort,
    remoteAddress: localAddress,
    remotePort: localPort,
  };
  return { client, socket, fromHere, fromThere };
}

test('the kernel finds a socket by its addresses, also an IPv6 one used for IPv4', { skip }, async () => {
  for (const host of ['127.0.0.1', '::ffff:127.0.0.1']) {
    const { client, socket, fromThere } = await connection(host);
    const found = lookup!(fromThere);
    assert.equal(found?.state, 1);
    assert.equal(found.uid, process.geteuid!());
    assert.notEqual(found.inode, 0);
    assert.equal(lookup!({ ...fromThere, remoteAddress: '127.0.0.2' }), null);
    assert.equal(lookup!({ ...fromThere, localAddress: 'localhost' }), null);
    client.destroy();
    socket.destroy();
  }
});

test('a port that somebody only listens on is no connection', { skip }, async () => {
  const listening = { localAddress: '127.0.0.1', localPort: port, remoteAddress: '127.0.0.1', remotePort: 1 };
  assert.equal(lookup!(listening), null);
});

test('a socket that its process has closed has no owner', { skip }, async () => {
  const { client, socket, fromThere } = await connection();
  const closed = new Promise((resolve) => client.once('close', resolve));
  client.destroy();
  await closed;
  const found = lookup!(fromThere);
  assert.ok(found === null || found.inode === 0 || found.state !== 1);
  socket.destroy();
});

const address = { localAddress: '127.0.0.1', localPort: 1, remoteAddress: '127.0.0.1', remotePort: 2 };

test('answers that are short, of another question, errors, or of other ports say nothing', () => {
  const answers: Record<string, (request: Buffer) => Buffer> = {
    nothing: () => Buffer.alloc(0),
    short: (request) => request.subarray(0, 40),
    'of another question': (request) => {
      const answer = Buffer.concat([request, Buffer.alloc(52)]);
      answer.writeUInt32LE(request.readUInt32LE(8) + 1, 8);
      return answer;
    },
    'an error': (request) => {
      const answer = Buffer.concat([request, Buffer.alloc(52)]);
      answer.writeUInt16LE(2, 4);
      return answer;
    },
    'other ports': (request) => Buffer.concat([request, Buffer.alloc(52)]),
  };
  for (const [name, answer] of Object.entries(answers)) {
    let asked = Buffer.alloc(0);
    const calls = {
      send: (bytes: Buffer) => (asked = Buffer.from(bytes)).length,
      receive: (into: Buffer) => answer(asked).copy(into),
    };
    assert.equal(lookupOver(calls)(address), null, name);
  }
  assert.equal(
    lookupOver({ send: () => -1, receive: () => assert.fail('nothing was asked') })(address),
    null,
  );
});

async function* emptyTable() {
  yield '';
}

test('only a connected socket with an owner is believed; for everything else the table is read', async () => {
  const answers: [FoundSocket | null, number | null][] = [
    [{ state: 1, uid: 7, inode: 9 }, 7],
    [{ state: 4, uid: 7, inode: 9 }, 7],
    [{ state: 1, uid: 0, inode: 0 }, null],
    [{ state: 6, uid: 0, inode: 9 }, null],
    [{ state: 10, uid: 7, inode: 9 }, null],
    [null, null],
  ];
  for (const [found, expected] of answers) {
    const peers = new PeerUids(
      emptyTable,
      false,
      Promise.resolve(() => found),
    );
    assert.equal(await peers.find(address), expected, JSON.stringify(found));
  }
});
