/**
 * Outgoing HTTP of the CLI: one place for trust (the system's certificates and, if named, one file more), time limits
 * and size limits. Redirects are not followed: a token never travels to where it was not meant to go.
 */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { Agent, request } from 'undici';
import { AgentError } from './error.ts';
import { isLoopback } from './relay-address.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The caller reads it to its end or destroys it. */
  readonly body: Readable;
}

const connectTimeoutMs = 10_000;
const answerTimeoutMs = 60_000;

export class HttpClient {
  /** Certificates trusted beside the defaults; PEM. Given to the tunnel's own TLS connection as well. */
  readonly authorities: string[] | undefined;
  readonly #agent: Agent;

  private constructor(authorities: string[] | undefined) {
    this.authorities = authorities;
    // A stream may be silent for long (`audit tail`), so only its first byte has a time limit.
    this.#agent = new Agent({
      connect: { timeout: connectTimeoutMs, ...(authorities && { ca: authorities }) },
      headersTimeout: answerTimeoutMs,
      bodyTimeout: 0,
      keepAliveTimeout: 4000,
    });
  }

  /**
   * @param url where it will talk to: certificates are read only when it is https
   * @param caFile PEM file of further authorities; null for none
   * @throws AgentError `ca-file-unreadable`
   */
  static async open(url: string, caFile: string | null): Promise<HttpClient> {
    if (!url.startsWith('https:')) return new HttpClient(undefined);
    const extra = caFile === null ? [] : [await readAuthorities(caFile)];
    return new HttpClient([...getCACertificates('default'), ...getCACertificates('system'), ...extra]);
  }

  /** @throws AgentError `relay-unreachable`, `relay-untrusted` */
  async send({ method, url, headers, body, signal }: HttpRequest): Promise<HttpAnswer> {
    try {
      const answer = await request(url, {
        method,
        headers,
        dispatcher: this.#agent,
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      });
      const entries = Object.entries(answer.headers).map(([name, value]) => [
        name,
        [value].flat().join(', '),
      ]);
      return { status: answer.statusCode, headers: Object.fromEntries(entries), body: answer.body };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw explain(error, url);
    }
  }

  /** Closes idle connections and waits for calls under way. */
  close(): Promise<void> {
    return this.#agent.close();
  }
}

async function readAuthorities(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (cause) {
    throw new AgentError('ca-file-unreadable', `${file} cannot be read`, { cause });
  }
  throw new AgentError('ca-file-unreadable', `${file} holds no PEM certificate`);
}

/** The error that a person can act on; `cause` keeps the system's. */
export function explain(cause: unknown, url: string): AgentError {
  const { host, hostname } = new URL(url);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code))
    return new AgentError('relay-untrusted', `the certificate of ${host} is not trusted (${code})`, {
      hint: 'name the authority that signed it with --ca-file, or ask who runs the relay',
      cause,
    });
  const hints: Readonly<Record<string, string>> = {
    ECONNREFUSED: isLoopback(hostname)
      ? 'nothing listens there; start a relay with: hoop relay start'
      : 'nothing listens there; is the address right, and is the relay running?',
    ENOTFOUND: 'the name does not exist; is the address right?',
    EAI_AGAIN: 'the name cannot be looked up; is this machine online?',
  };
  return new AgentError('relay-unreachable', `${host} cannot be reached`, {
    hint: hints[code] ?? 'check the network, then try again',
    cause,
  });
}

/**
 * The whole body as text.
 * @throws AgentError `relay-answer-invalid` when it is longer than `limitBytes`, `relay-unreachable` when it is cut
 */
export async function readText(answer: HttpAnswer, url: string, limitBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of answer.body) {
      length += part.length;
      if (length > limitBytes)
        throw new AgentError(
          'relay-answer-invalid',
          `${new URL(url).host} sent more than an answer may hold`,
        );
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw explain(error, url);
  }
  return Buffer.concat(parts).toString('utf8');
}
