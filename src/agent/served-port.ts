/** Which local port a target gets: the one asked for, the one of last time, or the next that nobody else has. */
import { PeerUids } from '../system/peer-uid.ts';
import type { ByteChannel } from '../bytes/channel.ts';
import { ensurePrivateDirectory } from '../system/private-file.ts';
import type { Account } from './account.ts';
import { directories } from './directories.ts';
import { firstPort, openLocalPort, openLocalSocket } from './local-port.ts';
import type { LocalPort } from './local-port.ts';
import { portKey } from './settings.ts';
import type { Settings } from './settings.ts';

/** What the person asked for. */
export interface PortWish {
  /** This and no other; null for the usual one. */
  readonly port: number | null;
  /** A Unix socket in the runtime directory, in place of a TCP port. */
  readonly socket: boolean;
}

export interface ServedPort {
  /** For the client: an address, or the socket's directory. */
  readonly host: string;
  readonly port: number;
  readonly local: LocalPort;
}

/** One for all ports of this process, so that they share readings of the system's table. */
const peers = PeerUids.ofSystem();

/**
 * Opens it and remembers its number.
 * @param stream gives each local connection its stream; null turns it away
 * @throws AgentError `port-taken`; LocalPortError
 */
export async function openServedPort(
  account: Pick<Account, 'profile' | 'settings' | 'machine'>,
  target: string,
  wish: PortWish,
  stream: () => ByteChannel | null,
): Promise<ServedPort> {
  const key = portKey(account.profile.name, target);
  const settings = await account.settings.read();
  const remembered = settings.ports[key];
  const preferred = wish.port ?? remembered ?? unclaimedPort(settings);
  const served = wish.socket
    ? await openSocket(preferred, stream)
    : await openTcp(preferred, wish.port !== null, stream);
  // Another number only for now, because the usual one is busy, is not remembered; a program leaves nothing behind.
  if (account.machine === null && (remembered === undefined || wish.port !== null))
    await account.settings.change((changing) => {
      changing.ports[key] = served.port;
    });
  return served;
}

async function openTcp(port: number, exact: boolean, stream: () => ByteChannel | null): Promise<ServedPort> {
  const local = await openLocalPort({ port, exact, peers, stream });
  return { host: '127.0.0.1', port: local.port, local };
}

async function openSocket(port: number, stream: () => ByteChannel | null): Promise<ServedPort> {
  const { runtime } = directories();
  await ensurePrivateDirectory(runtime);
  return { host: runtime, port, local: await openLocalSocket(runtime, port, { stream }) };
}

/** A new target does not take the port that another one will want back. */
function unclaimedPort({ ports }: Settings): number {
  const claimed = new Set(Object.values(ports));
  let port = firstPort;
  while (claimed.has(port) && port < 65_535) port++;
  return port;
}
