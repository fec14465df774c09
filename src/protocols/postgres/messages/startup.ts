/**
 * Start-up and cancellation
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP): the packets before a session,
 * which have no type byte.
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import { cstring, encodeMessage, int32 } from './frame.ts';

const cancelRequestCode = 80_877_102;
const sslRequestCode = 80_877_103;
const gssEncRequestCode = 80_877_104;

/** PostgreSQL's own bound for a start-up packet. */
export const maximumStartupLength = 10_000;

/** Newest version of the protocol that clients are served: 3.2 (long cancellation keys). */
export const newestProtocol = 0x0003_0002;
/** Version spoken to targets; every supported server has it. */
export const targetProtocol = 0x0003_0000;

export type StartupPacket =
  | { readonly kind: 'SSLRequest' }
  | { readonly kind: 'GSSENCRequest' }
  | { readonly kind: 'CancelRequest'; readonly processId: number; readonly secret: Buffer }
  | {
      readonly kind: 'StartupMessage';
      readonly major: number;
      readonly minor: number;
      /** In the client's order; names may repeat. Untrusted. */
      readonly parameters: readonly (readonly [string, string])[];
    };

/** Decodes a packet without its length field. @throws BytesError */
export function decodeStartupPacket(body: Buffer): StartupPacket {
  const reader = new BoundedReader(body);
  const code = reader.int32();
  if (code === sslRequestCode || code === gssEncRequestCode) {
    reader.finish();
    return { kind: code === sslRequestCode ? 'SSLRequest' : 'GSSENCRequest' };
  }
  if (code === cancelRequestCode) {
    return { kind: 'CancelRequest', processId: reader.int32(), secret: reader.take(reader.remaining) };
  }
  const [major, minor] = [code >>> 16, code & 0xffff];
  const parameters: [string, string][] = [];
  if (major === 3) readParameters(reader, parameters);
  return { kind: 'StartupMessage', major, minor, parameters };
}

function readParameters(reader: BoundedReader, parameters: [string, string][]): void {
  for (;;) {
    const name = reader.cstring();
    if (name === '') break;
    parameters.push([name, reader.cstring()]);
  }
  reader.finish();
}

const packet = (...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
};

export const encodeSSLRequest = (): Buffer => packet(int32(sslRequestCode));

export const encodeCancelRequest = (processId: number, secret: Buffer): Buffer =>
  packet(int32(cancelRequestCode), int32(processId), secret);

export const encodeStartupMessage = (parameters: readonly (readonly [string, string])[]): Buffer =>
  packet(
    int32(targetProtocol),
    ...parameters.flatMap(([name, value]) => [cstring(name), cstring(value)]),
    Buffer.alloc(1),
  );

/** Tells a client that asked for a newer minor version or for unknown `_pq_.` options what it gets instead. */
export const encodeNegotiateProtocolVersion = (options: readonly string[]): Buffer =>
  encodeMessage('v', int32(newestProtocol), int32(options.length), ...options.map(cstring));

export const encodeBackendKeyData = (processId: number, secret: Buffer): Buffer =>
  encodeMessage('K', int32(processId), secret);

/** @throws BytesError */
export function decodeBackendKeyData(body: Buffer): { processId: number; secret: Buffer } {
  const reader = new BoundedReader(body);
  return { processId: reader.int32(), secret: Buffer.from(reader.take(reader.remaining)) };
}

/** @throws BytesError */
export function decodeParameterStatus(body: Buffer): { name: string; value: string } {
  const reader = new BoundedReader(body);
  const status = { name: reader.cstring(), value: reader.cstring() };
  reader.finish();
  return status;
}
