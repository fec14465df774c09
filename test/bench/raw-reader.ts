/**
 * A client that costs next to nothing: signs in as a user that the server trusts, sends one statement and counts the
 * bytes of the answer. Run as a process of its own: `raw-reader.ts PORT USER DATABASE SQL`; prints `bytes seconds`.
 */
import { connect } from 'node:net';

const [port, user, database, sql] = process.argv.slice(2);

function startup(): Buffer {
  const text = `user\0${user}\0database\0${database}\0\0`;
  const message = Buffer.alloc(8 + Buffer.byteLength(text));
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(196_608, 4);
  message.write(text, 8);
  return message;
}

function query(): Buffer {
  const text = Buffer.from(`${sql}\0`);
  const header = Buffer.from('Q\0\0\0\0');
  header.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([header, text]);
}

const ready = Buffer.from([0x5a, 0, 0, 0, 5]); // ReadyForQuery, then one byte of status
let began = 0;
let bytes = 0;
/** The last bytes of the answer so far; an answer ends with ReadyForQuery. */
let tail: Buffer = Buffer.alloc(0);
function received(chunk: Buffer): void {
  bytes += chunk.length;
  tail = chunk.length >= 6 ? chunk.subarray(-6) : Buffer.concat([tail, chunk]).subarray(-6);
  if (!tail.subarray(0, 5).equals(ready)) {
    if (chunk.length >= 6) tail = Buffer.from(tail); // the memory is read into again
    return;
  }
  if (began === 0) {
    began = performance.now();
    bytes = 0;
    socket.write(query());
  } else {
    console.log(bytes, (performance.now() - began) / 1000);
    socket.end(Buffer.from([0x58, 0, 0, 0, 4]));
  }
}

// One piece of memory for all reads: a reader that allocates for each is slower than the paths that it measures.
const memory = Buffer.alloc(256 * 1024);
const socket = connect({
  port: Number(port),
  host: '127.0.0.1',
  onread: {
    buffer: memory,
    callback: (length) => {
      received(memory.subarray(0, length));
      return true;
    },
  },
});
socket.on('connect', () => socket.write(startup()));
socket.resume();
socket.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
socket.on('close', () => {
  if (began === 0) process.exitCode = 1;
});
