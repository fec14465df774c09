/**
 * An S3 server for tests, where no real one can run: one bucket, one account, in memory, in the test's own process. It stands in
 * for S3 by what S3 refuses: signatures, digests, locks, parts; what it does not know it answers with NotImplemented. Written
 * from the API reference (https://docs.aws.amazon.com/AmazonS3/latest/API/), path-style, over plain HTTP on the loopback
 * address. What it leaves out: other accounts and their rights, legal holds, default retention, copies, presigned URLs, streamed
 * signatures, checksums other than SHA-256.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { S3Error } from './error.ts';
import { operationOf } from './operations.ts';
import { parseRequest, type S3Answer, type S3Request } from './request.ts';
import { verifySignature } from './signature.ts';
import { Bucket, type StoredObject } from './store.ts';

export interface S3Options {
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Object Lock is on for the bucket (then it is versioned); default true. */
  readonly objectLock?: boolean;
  /** The server's clock: retention ends by it, and signatures are new by it. Default: the machine's. */
  readonly nowMs?: () => number;
  /** How many entries a page of a listing has at most, whatever is asked for; default 1000, as at S3. */
  readonly pageSize?: number;
}

/**
 * What goes wrong with a request that is signed as it should be. `cut`: the connection is destroyed before the server acts;
 * `cut-after`: it acts and gives no answer; `hang`: neither, and the connection stays. `error-in-200` is how S3
 * fails when it has begun to answer, as it may at the end of an upload in parts.
 */
export interface S3Fault {
  (request: {
    method: string;
    key: string;
    query: URLSearchParams;
  }): 'error-500' | 'slow-down' | 'error-in-200' | 'cut' | 'cut-after' | 'hang' | null;
}

export class S3Server implements AsyncDisposable {
  fault: S3Fault | null = null;
  readonly #options: S3Options;
  readonly #bucket: Bucket;
  readonly #requests: { method: string; key: string; query: string }[] = [];
  readonly #refused: { code: string; key: string }[] = [];
  #http: Server | null = null;
  #port = 0;

  private constructor(options: S3Options) {
    this.#options = options;
    this.#bucket = new Bucket({
      name: options.bucket,
      region: options.region,
      objectLock: options.objectLock ?? true,
      pageSize: options.pageSize ?? 1000,
      nowMs: options.nowMs ?? Date.now,
    });
  }

  static async start(options: S3Options): Promise<S3Server> {
    const server = new S3Server(options);
    await server.restart();
    return server;
  }

  /** http://127.0.0.1:PORT ; path-style: /bucket/key */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Those that the server did, whether the answer arrived or not, in order. */
  get requests(): readonly { method: string; key: string; query: string }[] {
    return this.#requests;
  }

  /** Those that it refused, with S3's code; NoSuchKey counts, faults do not. */
  get refused(): readonly { code: string; key: string }[] {
    return this.#refused;
  }

  /** As an attacker or an accident at the store would: past every lock, and without a trace in what is listed. */
  readonly tamper = {
    /** The newest version's contents; its digests, date and lock stay. */
    replace: (key: string, bytes: Buffer): void => {
      this.#stored(key).bytes = Buffer.from(bytes);
    },
    /** All its versions. */
    remove: (key: string): void => this.#bucket.erase(key),
    /** All its versions. */
    unlock: (key: string): void => {
      for (const { object } of this.#bucket.versions(key)) if (object) object.retention = null;
    },
  };

  /** Its newest version; null when there is none, or a delete marker. `versions` counts delete markers, too. */
  object(key: string): {
    bytes: Buffer;
    versions: number;
    mode: string | null;
    retainUntil: Date | null;
    headers: Record<string, string>;
  } | null {
    const found = this.#bucket.newest(key)?.object;
    if (!found) return null;
    return {
      bytes: found.bytes,
      versions: this.#bucket.versions(key).length,
      mode: found.retention?.mode ?? null,
      retainUntil: found.retention?.until ?? null,
      headers: { ...found.headers },
    };
  }

  /** Of which there are versions that no listing shows but that of versions. */
  hiddenKeys(): string[] {
    return this.#bucket.keys().filter((key) => this.object(key) === null);
  }

  /** Of what a listing shows. */
  keys(): string[] {
    return this.#bucket.keys().filter((key) => this.object(key) !== null);
  }

  /** Uploads in parts that were neither completed nor aborted. */
  get unfinishedUploads(): number {
    return this.#bucket.uploads.size;
  }

  /** Nobody listens any more and all connections are gone; the objects stay. */
  async stop(): Promise<void> {
    const http = this.#http;
    this.#http = null;
    if (http === null) return;
    const closed = once(http, 'close');
    http.close();
    http.closeAllConnections();
    await closed;
  }

  /** On the same port, with the same objects. */
  async restart(): Promise<void> {
    await this.stop();
    const http = createServer((incoming, response) => void this.#serve(incoming, response));
    this.#http = http;
    http.listen(this.#port, '127.0.0.1');
    await once(http, 'listening');
    const address = http.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #stored(key: string): StoredObject {
    const object = this.#bucket.newest(key)?.object;
    if (!object) throw new Error(`nothing is stored under ${key}`);
    return object;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // The client went in the middle of what it had to say: nothing was asked.
    }
    let key = '';
    let answer: S3Answer;
    let cut = false;
    try {
      const request = { ...parseRequest(incoming), body: Buffer.concat(chunks) };
      ({ key } = request);
      verifySignature(request, this.#options, this.#bucket.nowMs());
      const fault = this.fault?.({ method: request.method, key, query: request.query }) ?? null;
      if (fault === 'hang') return;
      if (fault === 'cut') return void incoming.socket.destroy();
      if (fault !== null && fault !== 'cut-after') return this.#send(response, failure(fault, request.path));
      cut = fault === 'cut-after';
      answer = this.#act(request);
    } catch (error) {
      const refusal = error instanceof S3Error ? error : new S3Error('InternalError', String(error));
      this.#refused.push({ code: refusal.code, key });
      answer = refusalAnswer(refusal, incoming.url ?? '');
    }
    if (cut) incoming.socket.destroy();
    else this.#send(response, answer);
  }

  #act(request: S3Request): S3Answer {
    const { method, bucket, key, query } = request;
    if (bucket !== this.#bucket.name && bucket !== '')
      throw new S3Error('NoSuchBucket', 'The specified bucket does not exist');
    if (bucket === '') throw new S3Error('NotImplemented', 'Operations of the account are not implemented.');
    const answer = operationOf(request)(request, this.#bucket);
    this.#requests.push({ method, key, query: query.toString() });
    return answer;
  }

  #send(response: ServerResponse, { status, headers = {}, body = '' }: S3Answer): void {
    const bytes = Buffer.from(body);
    response.sendDate = false;
    response.writeHead(status, {
      ...(typeof body === 'string' && body !== '' && { 'content-type': 'application/xml' }),
      ...(status !== 204 && { 'content-length': bytes.length }),
      date: new Date(this.#bucket.nowMs()).toUTCString(),
      server: 'AmazonS3',
      'x-amz-request-id': randomBytes(8).toString('hex').toUpperCase(),
      ...headers,
    });
    // Of the answer to a HEAD request, Node leaves the body away.
    response.end(bytes);
  }
}

const refusalAnswer = (error: S3Error, resource: string): S3Answer => ({
  status: error.status,
  headers: error.headers,
  body: error.toXml(resource, randomBytes(8).toString('hex').toUpperCase()),
});

function failure(fault: 'error-500' | 'slow-down' | 'error-in-200', resource: string): S3Answer {
  if (fault === 'slow-down')
    return refusalAnswer(new S3Error('SlowDown', 'Please reduce your request rate.'), resource);
  const message = 'We encountered an internal error. Please try again.';
  const answer = refusalAnswer(new S3Error('InternalError', message), resource);
  return fault === 'error-in-200' ? { ...answer, status: 200 } : answer;
}
