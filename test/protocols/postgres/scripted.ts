/** A relay between two ends that a test plays itself, message by message, in memory. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Masking } from '../../../src/gate/masking.ts';
import { CancelKeys } from '../../../src/protocols/postgres/cancel-keys.ts';
import { relayPostgres } from '../../../src/protocols/postgres/relay.ts';
import type { PostgresRelay } from '../../../src/protocols/postgres/relay.ts';
import type { TargetOptions } from '../../../src/protocols/postgres/target.ts';
import { MemoryChannel, NotingGate, targetOptions } from './support.ts';
import type { Policy } from './support.ts';

/** One end: what it received, and how it speaks. */
export class End {
  readonly channel: MemoryChannel;
  readonly #chunks: Buffer[] = [];
  ended = false;
  closed = false;

  constructor(channel: MemoryChannel) {
    this.channel = channel;
    channel.receive({
      data: (chunk) => this.#chunks.push(Buffer.from(chunk)),
      end: () => (this.ended = true),
      drained: () => undefined,
      closed: () => (this.closed = true),
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Buffer): void {
    this.channel.write(Buffer.from(bytes));
  }

  /** Forgets what came and returns it. */
  take(): Buffer {
    const bytes = this.received;
    this.#chunks.length = 0;
    return bytes;
  }
}

export const int16 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => bytes.writeUInt16BE(value & 0xffff, 2 * i));
  return bytes;
};
export const int32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value >>> 0, 4 * i));
  return bytes;
};
const flat = (parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));

/** A message as the manual lays it out; strings are bytes, so a NUL is written out. */
export function message(type: string, ...parts: (string | Buffer)[]): Buffer {
  const body = flat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

/** A packet without a type byte. */
export function packet(...parts: (string | Buffer)[]): Buffer {
  const body = flat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const startupMessage = (parameters = 'user\0ana\0database\0app\0', version = 0x30000): Buffer =>
  packet(int32(version), parameters, '\0');
export const ready = (status = 'I'): Buffer => message('Z', status);
export const error = (sqlstate: string, text = 'no'): Buffer =>
  message('E', `SERROR\0VERROR\0C${sqlstate}\0M${text}\0\0`);

export interface Script {
  readonly relay: PostgresRelay;
  readonly gate: NotingGate;
  readonly client: End;
  /** Every connection that was dialled, in order. */
  readonly targets: End[];
  readonly cancelKeys: CancelKeys;
  /** The first one. */
  readonly target: End;
  /** What `started` told the client to cancel with: process id and secret. */
  keyOfClient: Buffer;
  /** Lets everything that is on its way arrive. */
  settle(): Promise<void>;
}

export interface ScriptOptions {
  readonly policy?: Policy;
  readonly target?: Partial<TargetOptions>;
  readonly certificate?: Buffer;
  readonly messageLimitBytes?: number;
  readonly cancelKeys?: CancelKeys;
  readonly masking?: Masking | null;
}

/** Nothing was said yet. */
export function script(options: ScriptOptions = {}): Script {
  const [client, clientSide] = MemoryChannel.pair();
  const gate = new NotingGate(options.policy);
  gate.masking = options.masking ?? null;
  const cancelKeys = options.cancelKeys ?? new CancelKeys();
  const targets: End[] = [];
  const relay = relayPostgres({
    client: clientSide,
    target: targetOptions(options.target),
    gate,
    cancelKeys,
    dial: async () => {
      const [channel, far] = MemoryChannel.pair();
      targets.push(new End(far));
      return {
        channel,
        startTls: async () => ({ peerCertificate: options.certificate ?? Buffer.alloc(0) }),
      };
    },
    ...(options.messageLimitBytes === undefined ? {} : { messageLimitBytes: options.messageLimitBytes }),
  });
  const end = new End(client);
  return {
    relay,
    gate,
    client: end,
    targets,
    cancelKeys,
    keyOfClient: Buffer.alloc(0),
    get target() {
      return targets[0]!;
    },
    settle: async () => {
      for (let i = 0; i < 12; i++) await nextTurn();
    },
  };
}

export const targetKey = { processId: 4242, secret: Buffer.from([9, 8, 7, 6]) };

/** Both ends have started, and what they said for it is forgotten. */
export async function started(options: ScriptOptions = {}): Promise<Script> {
  const played = script(options);
  played.client.send(startupMessage());
  await played.settle();
  played.target.send(
    Buffer.concat([
      message('R', int32(0)),
      message('S', 'server_version\x0015.4\0'),
      message('K', int32(targetKey.processId), targetKey.secret),
      ready(),
    ]),
  );
  await played.settle();
  const welcome = played.client.take();
  const key = welcome.indexOf(Buffer.from('K\0\0\0\x0c', 'latin1'));
  if (key !== -1) played.keyOfClient = welcome.subarray(key + 5, key + 13);
  played.target.take();
  return played;
}
