/**
 * One TCP socket of this machine, asked for by its exact addresses: Linux's sock_diag over netlink
 * (https://man7.org/linux/man-pages/man7/sock_diag.7.html), microseconds where reading /proc/net/tcp takes milliseconds.
 * Node.js has no netlink sockets, so the four calls go through koffi, an optional dependency; without it, or where the
 * kernel refuses, there is no lookup and callers read the table.
 *
 * Only the kernel can answer: netlink delivers from other processes of users to this family never.
 */
import { endianness } from 'node:os';

/** The socket whose own address is `local`; IPv4 in dotted form. An IPv6 socket used for IPv4 is found as well. */
export interface SocketAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** As the kernel fetches them: the uid first, so that a socket with an owner (inode not 0) had that owner's uid. */
export interface FoundSocket {
  /** TCP state as in /proc/net/tcp: 1 established, 4 and 5 FIN_WAIT, … */
  readonly state: number;
  readonly uid: number;
  readonly inode: number;
}

/** Null when there is no such socket, or the answer is in doubt. Never throws. */
export type SocketLookup = (socket: SocketAddresses) => FoundSocket | null;

const [AF_INET, AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC] = [2, 16, 3, 0o2000000];
const [NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST] = [4, 20, 1];
const [MSG_DONTWAIT, IPPROTO_TCP, noCookie] = [0x40, 6, 0xffffffff];
/** nlmsghdr and inet_diag_req_v2; nlmsghdr and inet_diag_msg. */
const [requestBytes, answerBytes] = [72, 88];

/** Opens a netlink socket that lives as long as the process; null where that cannot be. */
export async function openSocketLookup(): Promise<SocketLookup | null> {
  if (process.platform !== 'linux' || endianness() !== 'LE') return null;
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const open = libc.func('int socket(int, int, int)');
    const send = libc.func('long send(int, const void *, ulong, int)');
    const receive = libc.func('long recv(int, void *, ulong, int)');
    const fd: number = open(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return fd < 0
      ? null
      : lookupOver({
          send: (bytes) => send(fd, bytes, bytes.length, 0),
          receive: (into) => receive(fd, into, into.length, MSG_DONTWAIT),
        });
  } catch {
    return null;
  }
}

/** Two calls on a netlink socket; each returns a length, or less than 0. */
export interface NetlinkCalls {
  send(bytes: Buffer): number;
  receive(into: Buffer): number;
}

/** The question and the answer; the kernel answers before `send` returns. */
export function lookupOver(calls: NetlinkCalls): SocketLookup {
  const request = Buffer.alloc(requestBytes);
  const answer = Buffer.alloc(4096);
  let sequence = 0;
  return (socket) => {
    sequence = (sequence + 1) >>> 0;
    if (!writeRequest(request, socket, sequence) || calls.send(request) !== requestBytes) return null;
    // What is left of an earlier question has another number.
    for (let tries = 0; tries < 8; tries++) {
      const length = calls.receive(answer);
      if (length < 16) return null;
      if (answer.readUInt32LE(8) === sequence) return readAnswer(answer.subarray(0, length), request);
    }
    return null;
  };
}

function writeRequest(request: Buffer, socket: SocketAddresses, sequence: number): boolean {
  const own = octetsOf(socket.localAddress);
  const peer = octetsOf(socket.remoteAddress);
  if (own === null || peer === null) return false;
  request.fill(0);
  request.writeUInt32LE(requestBytes, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  request.writeUInt32LE(sequence, 8);
  request[16] = AF_INET;
  request[17] = IPPROTO_TCP;
  request.writeUInt32LE(0xffffffff, 20); // all states
  request.writeUInt16BE(socket.localPort, 24);
  request.writeUInt16BE(socket.remotePort, 26);
  request.set(own, 28);
  request.set(peer, 44);
  request.writeUInt32LE(noCookie, 64);
  request.writeUInt32LE(noCookie, 68);
  return true;
}

function readAnswer(answer: Buffer, request: Buffer): FoundSocket | null {
  if (answer.length < answerBytes || answer.readUInt32LE(0) > answer.length) return null;
  if (answer.readUInt16LE(4) !== SOCK_DIAG_BY_FAMILY) return null; // NLMSG_ERROR: there is none
  // The ports of the socket that was found; a listener would be another one.
  if (answer.compare(request, 24, 28, 20, 24) !== 0) return null;
  return { state: answer[17]!, uid: answer.readUInt32LE(80), inode: answer.readUInt32LE(84) };
}

function octetsOf(address: string): number[] | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  return parts === undefined || parts.some((part) => part > 255) ? null : parts;
}
