/**
 * Requests to an S3 bucket: each signed (Signature Version 4, with the digest of its body), bounded in time and in what is
 * read of the answer.
 */
import { createHash, hash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import { Agent, request } from 'undici';
import { paused } from '../../../system/paused.ts';
import { ArchiveError } from '../error.ts';
import type { CredentialSource } from './credentials.ts';

export interface S3Place {
  /** URL of the service, without a slash at its end. */
  readonly endpoint: string;
  /** The bucket is the first part of the path, not of the host's name. */
  readonly pathStyle: boolean;
  readonly region: string;
  readonly bucket: string;
  readonly credentials: CredentialSource;
  /** PEM of the authority that the service's certificate is of; null: the system's. */
  readonly ca: (() => string) | null;
  /** Pause before a request that was not answered is sent again, doubled each time. Default 200. */
  readonly retryMs?: number;
}

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Empty: the bucket. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Of an answer's body this much is read, and one byte more. Default 4 MiB. */
  readonly limitBytes?: number;
  /** Gets the body of a 2xx answer, piece by piece, instead. */
  readonly take?: (piece: Buffer) => void;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const timeoutMs = 60_000;
/** Of one request; all of them may be repeated. */
const tries = 4;
const connections = 8;
const answerBytes = 4 * 1024 * 1024;
const nothing = Buffer.alloc(0);

export class S3Client {
  readonly #place: S3Place;
  readonly #base: string;
  #agent: Agent | null = null;
  readonly #stop = new AbortController();

  constructor(place: S3Place) {
    this.#place = place;
    const { endpoint, bucket, pathStyle } = place;
    const url = new URL(endpoint);
    this.#base = pathStyle ? `${endpoint}/${bucket}` : `${url.protocol}//${bucket}.${url.host}`;
  }

  /**
   * @returns an answer that says 2xx, or 404 of a key that is not there
   * @throws ArchiveError `archive-unreachable`, `archive-refused` with the code that S3 gave
   */
  async send(asked: S3Request): Promise<S3Answer> {
    for (let failed = 1; ; failed++) {
      try {
        return await this.#try(asked);
      } catch (error) {
        const mayGo =
          error instanceof ArchiveError && error.code === 'archive-unreachable' && asked.take === undefined;
        if (!mayGo || failed === tries || this.#stop.signal.aborted) throw error;
        // Spread out: many senders must not come back together.
        await paused((this.#place.retryMs ?? 200) * 2 ** failed * Math.random(), this.#stop.signal);
      }
    }
  }

  async #try(asked: S3Request): Promise<S3Answer> {
    const answer = await this.#send(asked);
    const { status } = answer;
    if (status >= 200 && status < 300) return answer;
    const code = codeOf(answer);
    if (status === 404 && code !== 'NoSuchBucket') return answer;
    if (status === 429 || status >= 500 || code === 'RequestTimeout' || code === 'SlowDown')
      throw new ArchiveError('archive-unreachable', `${this.#host} answered ${status} ${code}`);
    throw new S3Refusal(this.#host, status, code);
  }

  close(): void {
    this.#stop.abort();
    this.#agent?.destroy().catch(() => undefined);
    this.#agent = null;
  }

  get #host(): string {
    return new URL(this.#base).host;
  }

  async #send({
    method,
    key,
    query = {},
    headers = {},
    body,
    take,
    limitBytes = answerBytes,
  }: S3Request): Promise<S3Answer> {
    const { region, credentials, ca } = this.#place;
    // Others mean something else in a URL: `..` another bucket.
    if (!isPlainKey(key)) throw new ArchiveError('archive-refused', 'a name in the archive is no file’s');
    const url = new URL(`${this.#base}/${key}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': hash('sha256', body ?? nothing, 'hex') },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: 's3',
      region,
    }).sign();
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)]);
    try {
      this.#agent ??= new Agent({
        connections,
        connect: { timeout: timeoutMs, ...(ca !== null && { ca: ca() }) },
      });
      const answer = await request(signed.url, {
        method,
        headers: plain(signed.headers),
        body: body ?? null,
        signal,
        dispatcher: this.#agent,
      });
      const told = Object.entries(answer.headers).map(
        ([name, value]) => [name, [value].flat().join(', ')] as const,
      );
      const isDone = answer.statusCode >= 200 && answer.statusCode < 300;
      const most = isDone ? limitBytes : answerBytes;
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        if (isDone && take !== undefined) take(piece);
        else {
          pieces.push(piece);
          length += piece.length;
          // Leaving the loop ends the answer.
          if (length > most) break;
        }
      }
      const read = Buffer.concat(pieces).subarray(0, most + 1);
      return { status: answer.statusCode, headers: Object.fromEntries(told), body: read };
    } catch (cause) {
      throw new ArchiveError('archive-unreachable', `${this.#host} does not answer`, { cause });
    }
  }
}

/** Whether it is in a URL what it is: nothing to escape, and no part that leads elsewhere. Prefixes are such by configuration. */
export const isPlainKey = (key: string): boolean =>
  key === '' || key.split('/').every((part) => /^[\w.-]+$/.test(part) && !/^\.\.?$/.test(part));

function plain(headers: Headers): Record<string, string> {
  const named: Record<string, string> = {};
  headers.forEach((value, name) => {
    named[name] = value;
  });
  return named;
}

/** What S3 said when it did not do it. */
export class S3Refusal extends ArchiveError {
  readonly status: number;
  /** S3's, such as `AccessDenied`. */
  readonly s3Code: string;

  constructor(host: string, status: number, s3Code: string) {
    super('archive-refused', `${host} refused: ${status} ${s3Code}`.trimEnd(), hintOf(s3Code));
    this.status = status;
    this.s3Code = s3Code;
  }
}

const hints: Readonly<Record<string, string>> = {
  AccessDenied: 'what the relay may do there is listed in docs/operations.md',
  SignatureDoesNotMatch: 'is the secret key the one of this access key, and the region right?',
  InvalidAccessKeyId: 'is it the access key of this service?',
  RequestTimeTooSkewed: 'the relay’s clock and the service’s differ by more than 15 minutes',
  NoSuchBucket: 'the bucket must be there, with Object Lock if evidence.archive.s3.lock is set',
};

function hintOf(code: string): { hint: string } | undefined {
  const hint = Object.hasOwn(hints, code) ? hints[code] : undefined;
  return hint === undefined ? undefined : { hint };
}

/** Empty when the answer names none (one to HEAD never does). */
function codeOf({ body }: S3Answer): string {
  return /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(body.subarray(0, 4096).toString('latin1'))?.[1] ?? '';
}

export const base64Sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');
