/**
 * The relay's connection to a target: the pinned host key first, then the relay's own credential, through as many jump
 * hosts as are configured, each verified in the same way. The client never takes part in it.
 */
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import type { AuthenticationType, Client } from 'ssh2';
import type { ByteChannel } from '../../bytes/channel.ts';
import { targetSide } from './algorithms.ts';
import { ChannelStream } from '../../bytes/channel-stream.ts';
import { keepKeys } from './cipher-keys.ts';
import { SshError } from './error.ts';

type Opened = (error: Error | null, stream?: Duplex) => void;

/** An agent that signs nothing here: it leads to the person's own, for what runs at the target. */
export class PersonsAgent extends ssh2.BaseAgent {
  /** Null: there is none. */
  open: ((opened: Opened) => void) | null = null;

  override getIdentities(done: (error: Error | null, keys?: never[]) => void): void {
    done(null, []);
  }

  override sign(): void {
    throw new Error('this agent signs nothing');
  }

  override getStream(opened: Opened): void {
    if (this.open === null) opened(new Error('no agent'));
    else this.open(opened);
  }
}

/** One server on the way. */
export interface SshHop {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Called when it is needed; the relay keeps neither. Null: not configured. */
  readonly privateKey: () => string | null;
  readonly passphrase: () => string | null;
  readonly password: () => string | null;
  /** `type base64` as in known_hosts; the server must show one of them. Empty: none is pinned, and it is refused. */
  readonly hostKeys: readonly string[];
}

export interface SshTargetOptions {
  /** Jump hosts in order, then the target. */
  readonly hops: readonly [SshHop, ...SshHop[]];
  /** To the first hop. */
  readonly dial: () => Promise<ByteChannel>;
}

const handshakeMs = 20_000;
const keepAliveMs = 15_000;

export interface SshTarget {
  readonly client: Client;
  /** `OpenSSH_9.2p1`; what the server says of itself. */
  readonly software: string;
  /** Where connections to the person's agent go, where they are permitted. */
  readonly agent: PersonsAgent;
  /** Ends it, with every hop. */
  close(): void;
}

/** @throws SshError */
export async function connectTarget({ hops, dial }: SshTargetOptions): Promise<SshTarget> {
  const [first, ...others] = hops;
  const channel = await dial().catch((cause: unknown) => {
    throw new SshError('ssh-target-unreachable', 'the target cannot be reached', { cause });
  });
  const clients: Client[] = [];
  const close = (): void => {
    for (const client of clients.toReversed()) client.end();
    // A server that does not answer keeps nothing open.
    channel.destroy();
  };
  try {
    let reached = await connectHop(first, new ChannelStream(channel));
    clients.push(reached.client);
    for (const hop of others) {
      const way = await through(reached.client, hop);
      reached = await connectHop(hop, way);
      clients.push(reached.client);
    }
    return { ...reached, close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * The host key that a server shows, `type base64`, without signing in there.
 * @param way jump hosts to go through, which are verified; empty: `dial` leads to the server itself
 * @throws SshError
 */
export async function shownHostKey(
  { host, port }: Pick<SshHop, 'host' | 'port'>,
  way: readonly SshHop[],
  dial: () => Promise<ByteChannel>,
): Promise<string> {
  const [first, ...rest] = way;
  if (first === undefined) return hostKeyOver(new ChannelStream(await dial()));
  const reached = await connectTarget({ hops: [first, ...rest], dial });
  try {
    return await hostKeyOver(await through(reached.client, { host, port }));
  } finally {
    reached.close();
  }
}

function hostKeyOver(sock: Duplex): Promise<string> {
  const client = new ssh2.Client();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  client.on('error', (cause) =>
    reject(new SshError('ssh-target-unreachable', 'it speaks no SSH that the relay does', { cause })),
  );
  client.connect({
    sock,
    username: 'hoop',
    readyTimeout: handshakeMs,
    algorithms: targetSide([]),
    hostVerifier: (key: Buffer) => {
      const type = key.toString('latin1', 4, 4 + key.readUInt32BE(0));
      resolve(`${type} ${key.toString('base64')}`);
      return false; // that is all that is wanted of it
    },
  });
  return promise.finally(() => sock.destroy());
}

function connectHop(hop: SshHop, sock: Duplex): Promise<Omit<SshTarget, 'close'>> {
  const agent = new PersonsAgent();
  const client = new ssh2.Client();
  const { promise, resolve, reject } = Promise.withResolvers<Omit<SshTarget, 'close'>>();
  let verified: boolean | null = null;
  keepKeys(client);
  client.on('error', (error) => reject(explained(error, verified)));
  client.on('close', () => reject(new SshError('ssh-connection-lost', 'the target closed the connection')));
  client.on('ready', () => resolve({ client, software: softwareOf(client), agent }));
  const privateKey = hop.privateKey();
  const passphrase = hop.passphrase();
  const password = hop.password();
  if (privateKey !== null && ssh2.utils.parseKey(privateKey, passphrase ?? undefined) instanceof Error) {
    sock.destroy();
    throw new SshError(
      'ssh-credential-unusable',
      'the key that is configured for the target cannot be used',
      {
        hint: 'its operator sees that privateKey leads to a private key, and passphrase to its passphrase if it has one',
      },
    );
  }
  if (hop.hostKeys.length === 0) {
    sock.destroy();
    throw new SshError('ssh-host-key-unknown', 'no host key is pinned for the target', {
      hint: 'its operator pins it with hostKeys in relay.yaml, or with: hoop relay trust',
    });
  }
  const methods: AuthenticationType[] = [
    ...(privateKey === null ? [] : (['publickey'] as const)),
    ...(password === null ? [] : (['password'] as const)),
  ];
  const types = hop.hostKeys.map((line) => line.split(' ')[0] ?? '');
  client.connect({
    sock,
    username: hop.user,
    readyTimeout: handshakeMs,
    keepaliveInterval: keepAliveMs,
    keepaliveCountMax: 4,
    algorithms: targetSide(types),
    hostVerifier: (key: Buffer) => {
      verified = hop.hostKeys.some((line) => line.split(' ')[1] === key.toString('base64'));
      return verified;
    },
    ...(privateKey !== null && { privateKey }),
    ...(passphrase !== null && { passphrase }),
    ...(password !== null && { password }),
    authHandler: methods,
    agent,
  });
  return promise;
}

/** What the server said of itself in its first line; ssh2 keeps it, and tells nobody. */
function softwareOf(client: Client): string {
  const told: unknown = Reflect.get(client, '_remoteVer');
  return typeof told === 'string' && /^[\x21-\x7e]{1,64}$/.test(told) ? told : 'SSH';
}

/** A stream from one hop to the next. */
function through(client: Client, { host, port }: Pick<SshHop, 'host' | 'port'>): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, host, port, (error, stream) => {
      if (error === undefined) resolve(stream);
      else
        reject(
          new SshError('ssh-target-unreachable', 'the target cannot be reached through its jump host', {
            cause: error,
          }),
        );
    });
  });
}

function explained(cause: Error & { level?: string }, verified: boolean | null): SshError {
  if (verified === false)
    return new SshError(
      'ssh-host-key-changed',
      'the target shows another host key than the one that is pinned',
      {
        hint: 'somebody may stand in between; if the server was set up anew, its operator pins the new key: hoop relay trust',
        cause,
      },
    );
  if (cause.level === 'client-authentication')
    return new SshError('ssh-authentication-refused', 'the target does not accept the relay’s credential', {
      hint: 'its operator checks user, privateKey and password of the target',
      cause,
    });
  return new SshError('ssh-target-unreachable', 'no SSH connection to the target came about', { cause });
}
