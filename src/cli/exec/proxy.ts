/** `hoop proxy`: ssh's own bytes on stdin and stdout, joined to a stream of a session's tunnel. */
import { pipeline } from 'node:stream/promises';
import type { Account } from '../../agent/account.ts';
import { directories } from '../../agent/directories.ts';
import { AgentError } from '../../agent/error.ts';
import { keepSignedIn } from '../../agent/keep-signed-in.ts';
import { rememberHostKey } from '../../agent/known-hosts.ts';
import { RelayProblem } from '../../agent/problem.ts';
import { endSession, openSession, type SessionWish } from '../../agent/session-client.ts';
import { endedBy } from '../../agent/session-end.ts';
import { openTunnel } from '../../agent/session-tunnel.ts';
import { ChannelStream } from '../../bytes/channel-stream.ts';
import { Interrupts } from './interrupts.ts';

/** @returns the exit code. @throws RelayProblem, AgentError */
export async function proxy(
  account: Account,
  wish: SessionWish,
  note: (line: string) => void,
): Promise<number> {
  const interrupts = new Interrupts();
  const session = await openSession(account, wish);
  const stopRenewal = keepSignedIn(account.signIn, (line) => note(`hoop: ${line}`));
  try {
    if (session.ssh === null)
      throw new AgentError('target-unsuitable', `${session.target} is no server`, { hint: 'hoop targets' });
    // ssh compares what the relay shows with this file: it has to be there before the first byte.
    await rememberHostKey(directories().config, session.target, session.ssh.hostKey);
    const tunnel = await openTunnel(account, session.session, interrupts.signal);
    try {
      const channel = tunnel.open();
      if (channel === null) throw new AgentError('relay-unreachable', 'the tunnel has no room');
      const stream = new ChannelStream(channel);
      const inwards = pipeline(process.stdin, stream).catch(() => undefined);
      const outwards = pipeline(stream, process.stdout, { end: false }).catch(() => undefined);
      const end = await Promise.race([outwards, tunnel.closed, interrupts.stopped]);
      if (typeof end === 'number') return end;
      // What the relay ends it tells why; ssh says only that the connection closed.
      const reason = end === undefined ? null : end.reason;
      if (reason !== null)
        throw new RelayProblem({ title: endedBy(reason).text, status: 503, code: 'session-ended' });
      void inwards;
      return 0;
    } finally {
      tunnel.close();
      process.stdin.destroy();
    }
  } finally {
    stopRenewal();
    interrupts.close();
    await endSession(account, session.session).catch(() => undefined);
  }
}
