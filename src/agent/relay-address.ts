/** The base URL of a relay as typed by a person or told by a discovery document. */
import { isIP } from 'node:net';
import { AgentError } from './error.ts';

/**
 * Normal form: scheme, host, port, path without trailing slash. `https` is assumed where no scheme is typed, `http`
 * for this machine. Plain HTTP is for loopback alone.
 * @throws AgentError `relay-address-invalid`, `relay-insecure`
 */
export function relayAddress(text: string): string {
  const typed = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : withScheme(text);
  const url = URL.parse(typed);
  const plain = url !== null && url.username === '' && url.password === '' && url.search + url.hash === '';
  if (url === null || !plain || !/^https?:$/.test(url.protocol))
    throw new AgentError('relay-address-invalid', 'this is not the address of a relay', {
      hint: 'for example https://relay.example.com',
    });
  requireSecure(url);
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}

/**
 * Tokens and codes cross this connection: outside of this machine it must be encrypted.
 * @throws AgentError `relay-insecure`
 */
export function requireSecure(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw new AgentError('relay-insecure', `${url.host} would be reached without encryption`, {
    hint: 'use https://',
  });
}

/** By name or by number; names that merely resolve to loopback do not count. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host === 'localhost' || host.endsWith('.localhost');
}

function withScheme(text: string): string {
  const host = URL.parse(`http://${text}`)?.hostname ?? '';
  return `${isLoopback(host) ? 'http' : 'https'}://${text}`;
}
