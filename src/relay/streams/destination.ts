/**
 * Where events go: an https receiver, a syslog server over TLS, or a file. A destination takes lines and says when it has
 * them; whoever sends decides about trying again.
 */
import type { LineFormat } from '../../evidence/export/formats.ts';
import type { DestinationAddress } from './address.ts';
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

export interface DestinationOptions {
  /** Read for each batch: a rotated one works without a restart. Null: none. */
  readonly token: (() => string) | null;
  /** PEM of the authority that the receiver's certificate is of; null: the system's. */
  readonly ca: (() => string) | null;
  /** PEM of a client's certificate and key; null: none is shown. */
  readonly client: (() => { readonly cert: string; readonly key: string }) | null;
}

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
