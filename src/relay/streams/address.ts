/** Where events go, as it is written: three forms, none of which has room for a secret. */
import path from 'node:path';
import type { LineFormat } from '../../evidence/export/formats.ts';
import { isLoopback } from '../config/loopback.ts';

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

/** What a destination is sent unless something else is asked for. */
export const usualFormat = ({ kind }: DestinationAddress): LineFormat =>
  kind === 'syslog' ? 'syslog' : 'jsonl';
