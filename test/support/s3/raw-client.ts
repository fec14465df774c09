/**
 * A client for tests of the S3 server: it signs each request as the specification says, and can send another one than it signed.
 * That the two do not agree on something wrong is shown by s3cmd and by the examples of the reference.
 */
import { createHash, createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { S3Credentials } from './signature.ts';

export interface RawRequest {
  method: string;
  /** Encoded, with the bucket: /archive/a%20key */
  path: string;
  /** Encoded, without the question mark. */
  query: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly text: string;
  /** S3's code when it refused, and told so in a body. */
  readonly code: string | null;
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

export class RawClient {
  readonly #url: URL;
  readonly #credentials: S3Credentials;
  readonly #nowMs: () => number;

  constructor(url: string, credentials: S3Credentials, nowMs: () => number = Date.now) {
    this.#url = new URL(url);
    this.#credentials = credentials;
    this.#nowMs = nowMs;
  }

  /** @param changed what becomes of the request after it has been signed */
  async send(
    method: string,
    place: string,
    headers: Record<string, string> = {},
    body: Buffer | string = '',
    changed: (request: RawRequest) => void = () => {},
  ): Promise<RawAnswer> {
    const [path = '', query = ''] = place.split('?');
    const request = { method, path, query, headers: { ...headers }, body: Buffer.from(body) };
    this.#sign(request);
    changed(request);
    return this.#exchange(request);
  }

  /** The element's text in the answer; '' when there is none. */
  static text(answer: RawAnswer, name: string): string {
    return new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(answer.text)?.[1] ?? '';
  }

  static all(answer: RawAnswer, name: string): string[] {
    return [...answer.text.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(
      ([, text]) => text ?? '',
    );
  }

  #sign(request: RawRequest): void {
    const { region, accessKeyId, secretAccessKey, sessionToken } = this.#credentials;
    const timestamp = new Date(this.#nowMs()).toISOString().replace(/[-:]|\.\d+/g, '');
    Object.assign(request.headers, {
      host: this.#url.host,
      'x-amz-date': timestamp,
      'x-amz-content-sha256': sha256(request.body),
      ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    });
    const names = Object.keys(request.headers).toSorted();
    const query = request.query
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
      .toSorted()
      .join('&');
    const canonical = [
      request.method,
      request.path,
      query,
      ...names.map((name) => `${name}:${request.headers[name]?.trim() ?? ''}`),
      '',
      names.join(';'),
      sha256(request.body),
    ].join('\n');
    const scope = `${timestamp.slice(0, 8)}/${region}/s3/aws4_request`;
    const key = hmac(
      hmac(hmac(hmac(`AWS4${secretAccessKey}`, timestamp.slice(0, 8)), region), 's3'),
      'aws4_request',
    );
    const signature = hmac(
      key,
      ['AWS4-HMAC-SHA256', timestamp, scope, sha256(canonical)].join('\n'),
    ).toString('hex');
    request.headers['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  }

  #exchange({ method, path, query, headers, body }: RawRequest): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      const place = query === '' ? path : `${path}?${query}`;
      const { hostname, port } = this.#url;
      const lengthBytes = headers['transfer-encoding'] === undefined && { 'content-length': body.length };
      const outgoing = httpRequest({
        hostname,
        port,
        method,
        path: place,
        agent: false,
        headers: { ...headers, ...lengthBytes },
      });
      outgoing.once('error', reject);
      outgoing.once('response', (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
        incoming.once('end', () => {
          const whole = Buffer.concat(chunks);
          const text = whole.toString();
          const told = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]);
          const code = /<Error><Code>(\w+)<\/Code>/.exec(text)?.[1] ?? null;
          resolve({
            status: incoming.statusCode ?? 0,
            headers: Object.fromEntries(told),
            body: whole,
            text,
            code,
          });
        });
      });
      outgoing.end(body);
    });
  }
}

export const base64Of = (algorithm: 'md5' | 'sha256', bytes: Buffer | string): string =>
  createHash(algorithm).update(bytes).digest('base64');

/** A key as it stands in a path: all but letters, digits, - . _ ~ and / as %XX. */
export const encodeKey = (key: string): string =>
  [...Buffer.from(key)]
    .map((byte) => {
      const sign = String.fromCharCode(byte);
      return /[\w.~/-]/.test(sign) ? sign : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
