/** Packets of both ends, as the draft lays them out, and an exchange between two ends that a test plays. */
import { SftpExchange } from '../../../../src/protocols/ssh/sftp/exchange.ts';
import { encodePacket, Fxp, string, uint32 } from '../../../../src/protocols/ssh/sftp/packets.ts';
import type { FactsPolicy } from '../support.ts';
import { FileGate, lend, Sent } from '../support.ts';

export { Fxp, string, uint32, encodePacket };

export const uint64 = (value: number): Buffer =>
  Buffer.concat([uint32(Math.floor(value / 2 ** 32)), uint32(value % 2 ** 32)]);
export const noAttributes = uint32(0);
export const fullAttributes = Buffer.concat([
  uint32(0x8000000f),
  uint64(5),
  uint32(1000),
  uint32(100),
  uint32(0o100644),
  uint32(11),
  uint32(12),
  uint32(1),
  string('acl'),
  string('x'),
]);

export const init = (version = 3): Buffer => encodePacket(Fxp.init, uint32(version));
export const request = (type: number, id: number, ...parts: Buffer[]): Buffer =>
  encodePacket(type, uint32(id), ...parts);
export const onPath = (type: number, id: number, path: string | Buffer, ...parts: Buffer[]): Buffer =>
  request(type, id, string(path), ...parts);
export const open = (id: number, path: string, flags: number, attributes = noAttributes): Buffer =>
  onPath(Fxp.open, id, path, uint32(flags), attributes);
export const read = (id: number, handle: string, offset: number, length: number): Buffer =>
  request(Fxp.read, id, string(handle), uint64(offset), uint32(length));
export const write = (id: number, handle: string, offset: number, data: string | Buffer): Buffer =>
  request(Fxp.write, id, string(handle), uint64(offset), string(data));
export const close = (id: number, handle: string): Buffer => request(Fxp.close, id, string(handle));
export const extended = (id: number, name: string, ...parts: Buffer[]): Buffer =>
  request(Fxp.extended, id, string(name), ...parts);

export const status = (id: number, code = 0, message = 'm'): Buffer =>
  request(Fxp.status, id, uint32(code), string(message), string(''));
export const handle = (id: number, bytes: string): Buffer => request(Fxp.handle, id, string(bytes));
export const data = (id: number, bytes: string | Buffer): Buffer => request(Fxp.data, id, string(bytes));
export const namesOf = (id: number, ...names: string[]): Buffer =>
  request(
    Fxp.name,
    id,
    uint32(names.length),
    ...names.flatMap((name) => [string(name), string(`-rw ${name}`), noAttributes]),
  );
export const attrs = (id: number): Buffer => request(Fxp.attrs, id, fullAttributes);

/** Packets as `type id rest`, rest in hex or, where it is a STATUS, its code and message. */
export function readable(bytes: Buffer): string[] {
  const packets: string[] = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    const body = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
    const [type, id, rest] = [body[0]!, body.readUInt32BE(1), body.subarray(5)];
    packets.push(
      type === Fxp.status
        ? `status ${id} ${rest.readUInt32BE(0)} ${rest.subarray(8, 8 + rest.readUInt32BE(4)).toString()}`
        : `${type} ${id}`,
    );
  }
  return packets;
}

export class Played {
  readonly gate: FileGate;
  readonly target = new Sent();
  readonly client = new Sent();
  readonly told: string[] = [];
  readonly exchange: SftpExchange;

  constructor(policy?: FactsPolicy) {
    this.gate = new FileGate(policy);
    this.exchange = new SftpExchange({
      gate: this.gate,
      toTarget: this.target.take,
      toClient: this.client.take,
      tell: (line) => this.told.push(line),
      awake: (work) => work(),
    });
  }

  fromClient(bytes: Buffer, size?: number): void {
    lend((chunk) => this.exchange.fromClient(chunk), bytes, size);
  }

  fromTarget(bytes: Buffer, size?: number): void {
    lend((chunk) => this.exchange.fromTarget(chunk), bytes, size);
  }

  /** A request that the target answers; forgets what came before. Whether both passed as they were, alone. */
  ask(sent: Buffer, answer: Buffer): boolean {
    this.target.all();
    this.client.all();
    this.fromClient(sent);
    if (!this.target.all().equals(sent)) return false;
    this.fromTarget(answer);
    return this.client.all().equals(answer);
  }
}

/** With the version agreed and `/home/ana` for `.`; both ends' packets of that are forgotten. */
export function started(policy?: FactsPolicy, home = '/home/ana'): Played {
  const played = new Played(policy);
  played.fromClient(init());
  played.fromTarget(encodePacket(Fxp.version, uint32(3)));
  played.fromTarget(home === '' ? status(0x686f6f70, 4) : namesOf(0x686f6f70, home));
  played.target.all();
  played.client.all();
  return played;
}

/** A file that is open under the handle `h`. */
export function opened(flags: number, policy?: FactsPolicy): Played {
  const played = started(policy);
  played.ask(open(1, '/f', flags), handle(1, 'h'));
  return played;
}
