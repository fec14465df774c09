/**
 * How fast file transfers pass an SFTP exchange, without sockets and encryption: `node test/bench/sftp.ts`. In sequence each byte
 * is hashed; out of sequence none is, which shows the framing alone.
 */
import { createHash } from 'node:crypto';
import { SftpExchange } from '../../src/protocols/ssh/sftp/exchange.ts';
import { FileGate } from '../protocols/ssh/support.ts';
import * as packets from '../protocols/ssh/sftp/packets.ts';

const { data, Fxp, handle, open, read, request, status, string, uint32, uint64 } = packets;

const total = 1024 * 1024 * 1024;
/** What an SSH channel delivers at once. */
const chunkBytes = 32 * 1024;

let forwarded = 0;

function cut(bytes: Buffer, give: (chunk: Buffer) => void): void {
  for (let at = 0; at < bytes.length; at += chunkBytes) give(bytes.subarray(at, at + chunkBytes));
}

const take = (bytes: Buffer): void => void (forwarded += bytes.length);

function ready(flags: number): SftpExchange {
  const gate = new FileGate();
  const exchange = new SftpExchange({ gate, toTarget: take, toClient: take, awake: (work) => work() });
  exchange.fromClient(packets.init());
  exchange.fromTarget(packets.encodePacket(Fxp.version, uint32(3)));
  exchange.fromTarget(packets.namesOf(0x686f6f70, '/home/ana'));
  exchange.fromClient(open(1, '/f', flags));
  exchange.fromTarget(handle(1, 'abcd'));
  return exchange;
}

/** MB/s; `writes`: WRITE, else DATA. */
function measure(pieceBytes: number, writes: boolean, hashed: boolean): number {
  const exchange = ready(writes ? 0x1a : 1);
  const payload = Buffer.alloc(pieceBytes, 7);
  const batch = 8;
  const write = Buffer.concat(
    Array.from({ length: batch }, (_, i) =>
      request(Fxp.write, 10 + i, string('abcd'), uint64(0), string(payload)),
    ),
  );
  const packetBytes = write.length / batch;
  const acknowledged = Buffer.concat(Array.from({ length: batch }, (_, i) => status(10 + i)));
  const answers = Buffer.concat(Array.from({ length: batch }, (_, i) => data(10 + i, payload)));
  const begin = performance.now();
  for (let offset = 0; offset < total; offset += batch * pieceBytes) {
    const place = (i: number): number => (hashed ? offset + i * pieceBytes : 1);
    if (writes) {
      for (let i = 0; i < batch; i++) {
        const at = i * packetBytes + 17;
        write.writeUInt32BE(Math.floor(place(i) / 2 ** 32), at);
        write.writeUInt32BE(place(i) % 2 ** 32, at + 4);
      }
      cut(write, (chunk) => exchange.fromClient(chunk));
      exchange.fromTarget(acknowledged);
    } else {
      const asked = Array.from({ length: batch }, (_, i) => read(10 + i, 'abcd', place(i), pieceBytes));
      exchange.fromClient(Buffer.concat(asked));
      cut(answers, (chunk) => exchange.fromTarget(chunk));
    }
  }
  return total / (performance.now() - begin) / 1000;
}

function hashing(): number {
  const payload = Buffer.alloc(chunkBytes, 7);
  const hash = createHash('sha256');
  const begin = performance.now();
  for (let bytes = 0; bytes < total; bytes += chunkBytes) hash.update(payload);
  return total / (performance.now() - begin) / 1000;
}

for (let round = 0; round < 3; round++) {
  console.log(`sha256 alone: ${hashing().toFixed(0)} MB/s`);
  for (const pieceBytes of [32 * 1024, 255 * 1024])
    for (const writes of [true, false])
      for (const hashed of [true, false]) {
        const speed = measure(pieceBytes, writes, hashed);
        const what = `${writes ? 'WRITE' : 'DATA'} of ${pieceBytes / 1024} KiB, ${hashed ? 'hashed' : 'framing alone'}`;
        console.log(`${what}: ${speed.toFixed(0)} MB/s`);
      }
}
if (forwarded === 0) throw new Error('nothing was forwarded');
