/**
 * Where events go: an https receiver, a syslog server over TLS, or a file. A destination takes lines and says when it has
 * them; whoever sends decides about trying again.
 */
import path from 'node:path';
import type { LineFormat } from '../../evidence/export/formats.ts';
import { isLoopback } from '../config/loopback.ts';
import { StreamError } from './error.ts';
import { FileDestination } from './file.ts';
import { HttpsDestination } from './https.ts';
import { SyslogDestination } from './syslog.ts';

export interface Destination {
  /**
   * Resolves when it has them all. After a failure the same lines are sent again, as often as it takes.
   * @throws StreamError `stream-unreachable`, `stream-not-taken`
   */
  send(lines: readonly string[], signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface DestinationAddress {
  readonly kind: 'https' | 'syslog' | 'file';
  /** Normal form, without a secret. */
  readonly text: string;
  readonly url: URL;
}

export const destinationForms = 'https://HOST/PATH, syslog+tls://HOST:PORT or file:PATH';

/** Null for anything else. Users, passwords, queries and fragments are refused: they would stand in logs. */
export function parseDestination(text: string, directory: string): DestinationAddress | null {
  const file = /^file:(?:\/\/)?(\/?[^\p{Cc}]+)$/u.exec(text)?.[1];
  if (file !== undefined) {
    const absolute = path.resolve(directory, file);
    return { kind: 'file', text: `file:${absolute}`, url: new URL(`file://${encodeURI(absolute)}`) };
  }
  const url = URL.parse(text);
  if (url === null || url.hostname === '' || url.username + url.password + url.hash + url.search !== '')
    return null;
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))
    return { kind: 'https', text: url.href, url };
  if (url.protocol === 'syslog+tls:' && (url.pathname === '' || url.pathname === '/'))
    return { kind: 'syslog', text: `syslog+tls://${url.hostname}:${url.port || '6514'}`, url };
  return null;
}

export interface DestinationOptions {
  /** Read for each batch: a rotated one works without a restart. Null: none. */
  readonly token: (() => string) | null;
  /** PEM of the authority that the receiver's certificate is of; null: the system's. */
  readonly ca: (() => string) | null;
  /** PEM of a client's certificate and key; null: none is shown. */
  readonly client: (() => { readonly cert: string; readonly key: string }) | null;
}

/** What a destination is sent unless something else is asked for. */
export const usualFormat = ({ kind }: DestinationAddress): LineFormat =>
  kind === 'syslog' ? 'syslog' : 'jsonl';

/** @throws StreamError `stream-destination-invalid` */
export function openDestination(
  address: DestinationAddress,
  format: LineFormat,
  options: DestinationOptions,
): Destination {
  if (address.kind === 'syslog' && (format === 'jsonl' || format === 'ocsf'))
    throw new StreamError('stream-destination-invalid', `${address.text} takes syslog or cef`, {
      hint: 'RFC 5425 carries syslog messages; other formats go to https or a file',
    });
  switch (address.kind) {
    case 'https':
      return new HttpsDestination(address.url, options);
    case 'syslog':
      return new SyslogDestination(address.url, options);
    case 'file':
      return new FileDestination(address.text.slice('file:'.length));
  }
}
