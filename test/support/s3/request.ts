/** A request as S3 understands it, and its answer. */
import type { IncomingMessage } from 'node:http';
import { S3Error } from './error.ts';

export interface S3Request {
  readonly method: string;
  /** Decoded, with the bucket's name. */
  readonly path: string;
  readonly bucket: string;
  /** Empty for the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  /** Names in small letters; the values of repeated ones joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface S3Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** XML as text, contents as bytes. */
  readonly body?: string | Buffer;
}

/** The line and the headers, before the body has been read. @throws {S3Error} InvalidURI, NotImplemented, MissingContentLength */
export function parseRequest(incoming: IncomingMessage): Omit<S3Request, 'body'> {
  const method = incoming.method ?? '';
  const headers = readHeaders(incoming.rawHeaders);
  const [rawPath = '', ...rest] = (incoming.url ?? '').split('?');
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.");
  }
  const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
  if (Buffer.byteLength(key) > 1024) throw new S3Error('KeyTooLongError', 'Your key is too long.');
  if (headers.has('transfer-encoding')) {
    const message = 'A header you provided implies functionality that is not implemented: Transfer-Encoding';
    throw new S3Error('NotImplemented', message);
  }
  if (method === 'PUT' && !headers.has('content-length'))
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  return { method, path, bucket, key, query: new URLSearchParams(rest.join('?')), headers };
}

function readHeaders(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    const before = headers.get(name);
    headers.set(name, before === undefined ? raw[at + 1]! : `${before},${raw[at + 1]!}`);
  }
  return headers;
}

/** A number that the query may have. @throws {S3Error} InvalidArgument */
export function queryNumber(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name) ?? '';
  if (text === '') return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new S3Error('InvalidArgument', `Provided ${name} not an integer`);
  return Number(text);
}
