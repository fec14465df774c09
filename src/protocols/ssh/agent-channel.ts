/**
 * Opens a channel to the client's agent (`auth-agent@openssh.com`), which ssh2's server end does not offer: its channel
 * manager and its encoder are there, and where they are not what they were the agent is not forwarded.
 */
import type { Duplex } from 'node:stream';
import type { Connection } from 'ssh2';

type Opened = (error: Error | undefined, stream: Duplex) => void;

interface Manager {
  add(opened: Opened & { type: string }): number;
}
interface Encoder {
  openssh_authAgent(channel: number, windowBytes: number, packetBytes: number): void;
}

/** As ssh2 opens its own. */
const windowBytes = 2 * 1024 * 1024;
const packetBytes = 32 * 1024;

export function openAgentChannel(connection: Connection, opened: Opened): void {
  const manager: unknown = Reflect.get(connection, '_chanMgr');
  const encoder: unknown = Reflect.get(connection, '_protocol');
  if (!isManager(manager) || !isEncoder(encoder)) throw new Error('ssh2 opens no channel to an agent');
  const channel = manager.add(
    Object.assign((...answer: Parameters<Opened>) => opened(...answer), { type: 'auth-agent' }),
  );
  if (channel === -1) throw new Error('no free channel');
  encoder.openssh_authAgent(channel, windowBytes, packetBytes);
}

const isManager = (value: unknown): value is Manager =>
  typeof value === 'object' && value !== null && 'add' in value && typeof value.add === 'function';
const isEncoder = (value: unknown): value is Encoder =>
  typeof value === 'object' &&
  value !== null &&
  'openssh_authAgent' in value &&
  typeof value.openssh_authAgent === 'function';
