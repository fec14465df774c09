/**
 * `hoop relay trust`: which host key a target shows now, for an operator who compares it with what the server's own
 * administrator says, and keeping it. The only way in which a key that nobody has configured comes to be accepted.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { shownHostKey } from '../protocols/ssh/target.ts';
import { SocketChannel } from '../system/socket-channel.ts';
import type { RelayConfig } from './config/config.ts';
import { settingValue } from './config/secret.ts';
import type { SshTargetConfig } from './config/targets.ts';
import { keepKey, pinnedKeys } from './host-keys.ts';
import { hopOf } from './sessions/ssh-hops.ts';

/** One server on the way to a target. */
export interface ShownKey {
  /** Index of a jump host; null: the target itself. */
  readonly hop: number | null;
  readonly host: string;
  readonly port: number;
  /** `type base64` */
  readonly key: string;
  /** As `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  readonly state: 'pinned' | 'new' | 'changed';
  /** Its keys stand in relay.yaml, which is where they are changed. */
  readonly configured: boolean;
}

const timeoutMs = 20_000;

/**
 * Asks the first server on the way whose key is not pinned as it shows it; null when all are.
 * @throws SshError, Error of the socket
 */
export async function nextUntrusted(config: RelayConfig, target: SshTargetConfig): Promise<ShownKey | null> {
  for (const hop of [...target.jump.keys(), null]) {
    const shown = await askKey(config, target, hop);
    if (shown.state !== 'pinned') return shown;
  }
  return null;
}

export const trust = (config: RelayConfig, target: SshTargetConfig, { hop, key }: ShownKey): Promise<void> =>
  keepKey(config, target.name, hop, key);

async function askKey(config: RelayConfig, target: SshTargetConfig, hop: number | null): Promise<ShownKey> {
  const { host, port } = hop === null ? target : target.jump[hop]!;
  const before = target.jump.slice(0, hop ?? target.jump.length);
  const way = before.map((each, at) => hopOf(each, settingValue(each.user), pinnedKeys(config, target, at)));
  const first = way[0] ?? { host, port };
  const key = await shownHostKey({ host, port }, way, async () => dial(first));
  const pinned = pinnedKeys(config, target, hop);
  const digest = createHash('sha256')
    .update(Buffer.from(key.split(' ')[1]!, 'base64'))
    .digest('base64');
  return {
    hop,
    host,
    port,
    key,
    fingerprint: `SHA256:${digest.replace(/=+$/, '')}`,
    state: pinned.includes(key) ? 'pinned' : pinned.length === 0 ? 'new' : 'changed',
    configured: (hop === null ? target.hostKeys : target.jump[hop]!.hostKeys) !== null,
  };
}

async function dial({ host, port }: { host: string; port: number }): Promise<SocketChannel> {
  const socket = net.connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
  return new SocketChannel(socket);
}
