/**
 * Processor time of the PostgreSQL relay alone, without sockets and with a gate that only copies: microseconds for one
 * pgbench -S transaction in each query mode, and megabytes a second in bulk. `node --cpu-prof test/bench/postgres-relay.ts`
 * shows where it goes.
 */
import type { ByteChannel, ByteReceiver } from '../../src/bytes/channel.ts';
import type { ConnectionGate, Releasable } from '../../src/gate/gate.ts';
import { unknownFacts } from '../../src/model/command-facts.ts';
import { CancelKeys } from '../../src/protocols/postgres/cancel-keys.ts';
import { relayPostgres } from '../../src/protocols/postgres/relay.ts';
import { error, int16, int32, message, ready, startupMessage } from '../protocols/postgres/scripted.ts';
import { targetOptions } from '../protocols/postgres/support.ts';

/** Nothing but a place to put bytes in and to count what comes out. */
class Ends implements ByteChannel {
  receiver!: ByteReceiver;
  written = 0;
  receive(receiver: ByteReceiver): void {
    this.receiver = receiver;
  }
  write(chunk: Uint8Array): boolean {
    this.written += chunk.length;
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

const batch = Buffer.alloc(1 << 20);
let at = 0;
function record(bytes: Uint8Array): void {
  if (at + bytes.length > batch.length) at = 0;
  if (bytes.length <= batch.length) batch.set(bytes, at);
  at += bytes.length;
}

class CopyingGate implements ConnectionGate {
  asked: Releasable | null = null;
  outcomes = 0;
  #command = 0;
  #statement = 0;
  opened(): void {}
  statement(text: Uint8Array): number {
    record(text);
    return ++this.#statement;
  }
  forgetStatement(): void {}
  nextCommand(): number {
    return ++this.#command;
  }
  command(_: number, text: Uint8Array | number, parameters: Uint8Array | null) {
    if (typeof text !== 'number') record(text);
    if (parameters !== null) record(parameters);
    return allow;
  }
  readonly masking = null;
  verdictOn = () => allow.kind;
  factsOf = () => unknownFacts;
  review(): void {}
  withheld(): void {}
  withdraw(): void {}
  redacted(): void {}
  redactedRows(): void {}
  input(_: number, bytes: Uint8Array): void {
    record(bytes);
  }
  output(_: number, bytes: Buffer): Buffer {
    record(bytes);
    return bytes;
  }
  errorOutput(_command: number, bytes: Buffer): Buffer {
    return bytes;
  }
  resize(): void {}
  origin(): void {}
  outcome(): void {
    this.outcomes++;
  }
  maskingFailed(error: unknown): void {
    throw error;
  }
  whenRecorded(releasable: Releasable): void {
    this.asked = releasable;
  }
  closed(): void {}
  release(): void {
    const { asked } = this;
    this.asked = null;
    asked?.stage();
    asked?.release();
  }
}
const allow = { kind: 'allow' } as const;

async function connected() {
  const [client, target, gate] = [new Ends(), new Ends(), new CopyingGate()];
  const relay = relayPostgres({
    client,
    target: targetOptions(),
    gate,
    cancelKeys: new CancelKeys(),
    dial: async () => ({ channel: target, startTls: () => Promise.reject(new Error('none')) }),
  });
  client.receiver.data(startupMessage());
  while (target.written === 0) await new Promise(setImmediate);
  target.receiver.data(Buffer.concat([message('R', int32(0)), ready()]));
  await relay.ready;
  gate.release();
  return { client, target, gate };
}

const bind = (name: string): Buffer => message('B', `\0${name}\0`, int16(0, 1), int32(5), '12345', int16(0));
const [execute, sync] = [message('E', '\0', int32(0)), message('S')];
const select = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1;';
const description = message(
  'T',
  int16(1),
  'abalance\0',
  int32(16396),
  int16(3),
  int32(23),
  int16(4),
  int32(-1),
  int16(0),
);
const described = message('D', 'P\0');
const answer = Buffer.concat([
  description,
  message('D', int16(1), int32(1), '0'),
  message('C', 'SELECT 1\0'),
]);

const modes: Record<string, [Buffer, Buffer]> = {
  simple: [message('Q', `${select}\0`), Buffer.concat([answer, ready()])],
  extended: [
    Buffer.concat([message('P', `\0${select}\0`, int16(0)), bind(''), described, execute, sync]),
    Buffer.concat([message('1'), message('2'), answer, ready()]),
  ],
  prepared: [
    Buffer.concat([bind('P0_1'), described, execute, sync]),
    Buffer.concat([message('2'), answer, ready()]),
  ],
};

async function transactions(request: Buffer, response: Buffer, count: number): Promise<number> {
  const { client, target, gate } = await connected();
  client.receiver.data(Buffer.concat([message('P', `P0_1\0${select}\0`, int16(0)), sync]));
  target.receiver.data(Buffer.concat([message('1'), ready()]));
  gate.release();
  const begun = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    client.receiver.data(Buffer.from(request));
    gate.release();
    target.receiver.data(Buffer.from(response));
    gate.release();
  }
  const { user, system } = process.cpuUsage(begun);
  if (gate.outcomes !== count) throw new Error(`${gate.outcomes} outcomes of ${count}`);
  return (user + system) / count;
}

async function bulk(megabytes: number): Promise<number> {
  const { client, target, gate } = await connected();
  client.receiver.data(message('Q', 'select * from t\0'));
  gate.release();
  const row = message(
    'D',
    int16(4),
    ...['1234567', 'ana@example.com', 'x'.repeat(150), '4111'].flatMap((v) => [int32(v.length), v]),
  );
  const stream = Buffer.concat(Array.from({ length: 1000 }, () => row));
  const size = 65_536;
  const wanted = megabytes * 1_000_000;
  const begun = process.cpuUsage();
  for (let sent = 0; sent < wanted; sent += stream.length) {
    for (let from = 0; from < stream.length; from += size) {
      target.receiver.data(stream.subarray(from, from + size));
      gate.release();
    }
  }
  const { user, system } = process.cpuUsage(begun);
  target.receiver.data(Buffer.concat([error('57014'), ready()]));
  return wanted / (user + system);
}

for (const [mode, [request, response]] of Object.entries(modes)) {
  await transactions(request, response, 20_000);
  const each = await transactions(request, response, 200_000);
  console.log(`${mode.padEnd(9)} ${each.toFixed(2)} µs a transaction`);
}
await bulk(100);
console.log(`bulk      ${(await bulk(2000)).toFixed(0)} MB per CPU-second`);
