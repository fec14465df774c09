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
const socket = connect(Number(port), '127.0.0.1', () => socket.write(startup()));
let tail = Buffer.alloc(0);
socket.on('data', (chunk: Buffer) => {
  bytes += chunk.length;
  tail = Buffer.concat([tail, chunk.subarray(-6)]).subarray(-6);
  if (!tail.subarray(0, 5).equals(ready)) return;
  if (began === 0) {
    began = performance.now();
    bytes = 0;
    socket.write(query());
  } else {
    console.log(bytes, (performance.now() - began) / 1000);
    socket.end(Buffer.from([0x58, 0, 0, 0, 4]));
  }
});
socket.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
socket.on('close', () => {
  if (began === 0) process.exitCode = 1;
});
