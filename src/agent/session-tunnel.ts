/** The tunnel of a session that is open at the relay. */
import type { Account } from './account.ts';
import { Tunnel } from './tunnel.ts';

/** @throws RelayProblem when the relay refuses; AgentError `relay-unreachable`, `relay-untrusted` */
export function openTunnel(account: Account, session: string, signal?: AbortSignal): Promise<Tunnel> {
  const path = `/v1/sessions/${session}/tunnel`;
  const { client, relay } = account;
  return Tunnel.open({
    url: relay + path,
    headers: client.proofsFor('GET', path),
    authorities: client.http.authorities,
    ...(signal !== undefined && { signal }),
  });
}
