/**
 * Calls to a relay's HTTP API (`wire/api.ts`): each carries a DPoP proof (RFC 9449), answers are validated, refusals
 * become errors with the relay's own code and hint. The relay asks for its nonce once; then it is known.
 */
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { makeProof } from '../identity/dpop.ts';
import type { LoginKey } from '../identity/login-key.ts';
import { systemClock } from '../system/clock.ts';
import { Discovery, Problem } from '../wire/api.ts';
import { AgentError } from './error.ts';
import { readText } from './http.ts';
import type { HttpAnswer, HttpClient } from './http.ts';
import { RelayProblem } from './problem.ts';

/** Who calls: the key that signs and the token that it is bound to. */
export interface Caller {
  readonly key: LoginKey;
  /** Null where there is none yet: the sign-in itself. */
  readonly accessToken: string | null;
}

/** Where callers come from; renews when it must. */
export interface CallerSource {
  /** @param refused a token that the relay has just refused: it must not come again. */
  caller(refused: string | null): Promise<Caller>;
}

/** An answer that refused a request made elsewhere. */
export interface Refused {
  /** The relay's code. */
  readonly code: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sent beside the client's own; names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface StreamOptions extends ReadOptions {
  /** What is asked for does not belong into an address: it is sent by POST. */
  readonly body?: unknown;
}

/** Refusals of a token that a renewal, or another process's sign-in, may mend. */
const staleToken = new Set(['access-token-expired', 'access-token-invalid', 'login-ended']);
const answerLimitBytes = 32 * 1024 * 1024;

export class RelayClient {
  readonly relay: string;
  readonly http: HttpClient;
  readonly #source: CallerSource;
  #nonce: string | null = null;

  /** @param relay base URL, as in the relay's discovery document */
  constructor(relay: string, http: HttpClient, source: CallerSource) {
    this.relay = relay;
    this.http = http;
    this.#source = source;
  }

  /** @throws RelayProblem; AgentError `relay-unreachable`, `relay-untrusted`, `relay-answer-invalid`; why `signal` aborted */
  async get<T>(path: string, schema: z.ZodType<T>, options: ReadOptions = {}): Promise<T> {
    return this.#parse(await this.#call('GET', path, undefined, options), schema);
  }

  /** @throws as `get` */
  async post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#parse(await this.#call('POST', path, JSON.stringify(body)), schema);
  }

  /** For calls whose success says all (204 or any 2xx). @throws as `get` */
  async send(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    options: ReadOptions = {},
  ): Promise<void> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.#call(method, path, content, options);
    answer.body.resume();
  }

  /** The body as it comes, for exports and live streams; the caller reads it or destroys it. @throws as `get` */
  async stream(path: string, { body, ...options }: StreamOptions = {}): Promise<Readable> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    return (await this.#call(content === undefined ? 'GET' : 'POST', path, content, options)).body;
  }

  /**
   * For a request made elsewhere, the tunnel's WebSocket upgrade: headers for each attempt, made anew.
   * @returns called with the answer that refused the last attempt, null at first
   */
  proofsFor(method: string, path: string): (refused: Refused | null) => Promise<Record<string, string>> {
    let last: Caller | null = null;
    return async (refused) => {
      if (refused !== null) this.#remember(refused.headers);
      const stale = refused !== null && staleToken.has(refused.code) ? last?.accessToken : null;
      last = await this.#source.caller(stale ?? null);
      return this.#headers(last, method, this.relay + path);
    };
  }

  async #call(
    method: string,
    path: string,
    body?: string,
    { signal, headers: more }: ReadOptions = {},
  ): Promise<HttpAnswer> {
    const url = this.relay + path;
    let refusedToken: string | null = null;
    for (let attempt = 1; ; attempt++) {
      const caller = await this.#source.caller(refusedToken);
      const headers: Record<string, string> = { ...more, ...(await this.#headers(caller, method, url)) };
      if (body !== undefined) headers['content-type'] = 'application/json';
      const content = body === undefined ? {} : { body };
      const answer = await this.http.send({ method, url, headers, ...content, signal });
      this.#remember(answer.headers);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const problem = await this.#problem(answer, url);
      if (attempt === 3 || answer.status !== 401) throw problem;
      if (caller.accessToken !== null && staleToken.has(problem.code)) refusedToken = caller.accessToken;
      else if (problem.code !== 'dpop-nonce-required') throw problem;
    }
  }

  async #headers(caller: Caller, method: string, url: string): Promise<Record<string, string>> {
    const { key, accessToken } = caller;
    const dpop = await makeProof(key, { method, url, accessToken }, this.#nonce, systemClock);
    return { dpop, ...(accessToken !== null && { authorization: `DPoP ${accessToken}` }) };
  }

  #remember(headers: Readonly<Record<string, string>>): void {
    const nonce = headers['dpop-nonce'];
    if (nonce !== undefined && nonce.length <= 256) this.#nonce = nonce;
  }

  async #parse<T>(answer: HttpAnswer, schema: z.ZodType<T>): Promise<T> {
    return validate(await readText(answer, this.relay, answerLimitBytes), schema, this.relay);
  }

  async #problem(answer: HttpAnswer, url: string): Promise<RelayProblem> {
    const text = await readText(answer, url, 65_536);
    const problem = Problem.safeParse(json(text));
    if (problem.success) return new RelayProblem({ ...problem.data, status: answer.status });
    // Something in between answered: a load balancer, a captive portal.
    const { host } = new URL(url);
    const title = `${host} answered ${answer.status}, and not as a relay does`;
    return new RelayProblem({ title, status: answer.status, code: 'relay-answer-invalid' });
  }
}

/**
 * `GET /.well-known/hoop`: the one call without a proof.
 * @throws AgentError `relay-unreachable`, `relay-untrusted`, `relay-answer-invalid`, `relay-mismatch`
 */
export async function discover(relay: string, http: HttpClient): Promise<Discovery> {
  const url = `${relay}/.well-known/hoop`;
  const answer = await http.send({ method: 'GET', url, headers: { accept: 'application/json' } });
  const text = await readText(answer, url, 1_048_576);
  if (answer.status !== 200)
    throw new AgentError('relay-answer-invalid', `${relay} is no relay (it answered ${answer.status})`, {
      hint: 'check the address',
    });
  const discovery = validate(text, Discovery, relay);
  // Proofs are made for the address in the document. Were it another one, whoever answers here could pass them on.
  if (discovery.relay !== relay)
    throw new AgentError('relay-mismatch', `${relay} says that its address is ${discovery.relay}`, {
      hint: `use ${discovery.relay}`,
    });
  return discovery;
}

function validate<T>(text: string, schema: z.ZodType<T>, relay: string): T {
  const parsed = schema.safeParse(json(text));
  if (parsed.success) return parsed.data;
  const place = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new AgentError('relay-answer-invalid', `${relay} sent an answer that this version does not know`, {
    hint: `upgrade hoop, or the relay${place === '' ? '' : ` (at ${place})`}`,
  });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
