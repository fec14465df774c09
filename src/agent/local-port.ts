/**
 * The port on this machine that a client connects to. It serves only the user who opened it: before a byte of a
 * connection is read or sent on, its other end's uid is looked up, and anything but our own is refused.
 *
 * Loopback, IPv4. Where the system does not tell the uid (anything but Linux), no port is opened: there a Unix socket in
 * a directory of the user's own (`openLocalSocket`) does the same by file permissions.
 */
import { lstat, readFile, unlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import type { ByteChannel } from '../bytes/channel.ts';
import { HoopError, hasErrno } from '../errors.ts';
import type { PeerUids } from '../system/peer-uid.ts';
import { SocketChannel } from '../system/socket-channel.ts';
import { AgentError } from './error.ts';
import { joinLocal } from './local-connection.ts';

export type LocalPortErrorCode =
  | 'local-port-unprotected' // this system does not tell whose connection it is
  | 'local-socket-unsafe'; // the socket's directory is not the user's alone

export class LocalPortError extends HoopError<LocalPortErrorCode> {}

export interface LocalConnections {
  /** A stream for a client that was let in; null: there is none now, and the client is turned away. */
  readonly stream: () => ByteChannel | null;
  /** Somebody else's process, or one that could not be told, was turned away. */
  readonly refused?: () => void;
}

export interface LocalPortOptions extends LocalConnections {
  /** Remembered or asked for; null: any from `firstPort` on. */
  readonly port: number | null;
  /** True: `port` and no other. */
  readonly exact: boolean;
  /** Looks up peers; one for all ports of a process, so that they share readings. */
  readonly peers: PeerUids;
}

/** Where ports begin when none is remembered. */
export const firstPort = 15_432;
const portsTried = 512;
/** A check takes milliseconds; a connection that waits longer than this is turned away. */
const checkMs = 5000;

export class LocalPort {
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket>;

  constructor(server: net.Server, port: number, sockets: Set<net.Socket>) {
    this.#server = server;
    this.port = port;
    this.#sockets = sockets;
  }

  /** Connections of clients, those being checked included. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Drops every connection and frees the port. Idempotent. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** @throws AgentError `port-taken`; LocalPortError `local-port-unprotected` */
export async function openLocalPort(options: LocalPortOptions): Promise<LocalPort> {
  const uid = await ownUid();
  const sockets = new Set<net.Socket>();
  const server = serve(sockets, (socket) => {
    const timer = setTimeout(() => socket.destroy(), checkMs);
    void options.peers.find(addresses(socket)).then((peer) => {
      clearTimeout(timer);
      if (peer === uid) admit(socket, options);
      else refuse(socket, options);
    });
  });
  const preferred = options.port ?? firstPort;
  for (let tried = 0; tried < (options.exact ? 1 : portsTried); tried++) {
    const port = preferred + tried > 65_535 ? firstPort + tried : preferred + tried;
    if (await listens(server, { host: '127.0.0.1', port })) return new LocalPort(server, port, sockets);
  }
  throw new AgentError('port-taken', `port ${preferred} is taken`, {
    hint: options.exact ? 'choose another with --port, or leave it out' : 'choose one with --port',
  });
}

/**
 * A Unix socket named as PostgreSQL's clients look for it: `psql "host=DIRECTORY port=PORT"`.
 * @param directory exists, belongs to the user, mode 0700
 * @throws AgentError `port-taken`; LocalPortError `local-socket-unsafe`
 */
export async function openLocalSocket(
  directory: string,
  port: number,
  connections: LocalConnections,
): Promise<LocalPort> {
  const own = process.geteuid?.();
  const status = await lstat(directory);
  if (!status.isDirectory() || (own !== undefined && (status.uid !== own || (status.mode & 0o077) !== 0)))
    throw new LocalPortError('local-socket-unsafe', `${directory} is not a directory of yours alone`, {
      hint: `chmod 700 ${directory}`,
    });
  const file = path.join(directory, `.s.PGSQL.${port}`);
  const sockets = new Set<net.Socket>();
  const server = serve(sockets, (socket) => admit(socket, connections));
  if (await listens(server, { path: file })) return new LocalPort(server, 0, sockets);
  if (!(await isStale(file)))
    throw new AgentError('port-taken', `${file} is in use`, { hint: 'choose another port with --port' });
  await unlink(file);
  if (await listens(server, { path: file })) return new LocalPort(server, 0, sockets);
  throw new AgentError('port-taken', `${file} is in use`);
}

/** `pauseOnConnect`: not a byte is read from a socket before it is let in. */
function serve(sockets: Set<net.Socket>, connected: (socket: net.Socket) => void): net.Server {
  function gone(this: net.Socket): void {
    sockets.delete(this);
  }
  return net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', ignore);
    socket.on('close', gone);
    connected(socket);
  });
}

/** A client that goes away while it is checked is no failure of ours. */
const ignore = (): void => {};

function admit(socket: net.Socket, connections: LocalConnections): void {
  if (socket.destroyed) return;
  const stream = connections.stream();
  if (stream === null) socket.destroy();
  else joinLocal(new SocketChannel(socket), stream);
}

function refuse(socket: net.Socket, connections: LocalConnections): void {
  socket.destroy();
  connections.refused?.();
}

function addresses(socket: net.Socket) {
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  return { localAddress, localPort, remoteAddress, remotePort };
}

/** False when the address is in use; other failures reject. */
function listens(server: net.Server, where: net.ListenOptions): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      if (hasErrno(error, 'EADDRINUSE', 'EACCES')) resolve(false);
      else reject(error);
    };
    server.once('error', failed);
    server.listen(where, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

/** A socket file that nobody listens at: left behind by a process that was killed. */
function isStale(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(file);
    probe.on('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (error) => resolve(hasErrno(error, 'ECONNREFUSED')));
  });
}

/**
 * The uid that peers must have.
 * @throws LocalPortError `local-port-unprotected` where the table of connections cannot tell users apart
 */
async function ownUid(): Promise<number> {
  const uid = process.geteuid?.();
  const hint = 'use a Unix socket instead: hoop connect --socket';
  if (process.platform !== 'linux' || uid === undefined)
    throw new LocalPortError('local-port-unprotected', 'this system does not tell whose connection it is', {
      hint,
    });
  // In a user namespace every user from outside shows as the overflow uid, and could pass for us if that is ours.
  const map = (await readFile('/proc/self/uid_map', 'latin1')).trim().split(/\s+/).join(' ');
  const overflow = Number(await readFile('/proc/sys/kernel/overflowuid', 'latin1'));
  if (uid === overflow && map !== '0 0 4294967295')
    throw new LocalPortError('local-port-unprotected', 'this user cannot be told from others here', { hint });
  return uid;
}
