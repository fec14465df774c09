/** A receiver over https: a batch is one POST of JSON lines; any 2xx is its acknowledgement. Redirects are not followed. */
import { Agent, request } from 'undici';
import type { Destination, DestinationOptions } from './destination.ts';
import { StreamError } from './error.ts';

const timeoutMs = 30_000;
/** A receiver that names a later time, by mistake or not, is asked again all the same. */
const longestRetryAfterMs = 3_600_000;

/** What came back, as far as it is anybody's business here. */
interface Answer {
  readonly status: number;
  readonly retryAfterMs: number | null;
}

export class HttpsDestination implements Destination {
  readonly #url: URL;
  readonly #options: DestinationOptions;
  #agent: Agent | null = null;

  constructor(url: URL, options: DestinationOptions) {
    this.#url = url;
    this.#options = options;
  }

  async send(lines: readonly string[], stop: AbortSignal): Promise<void> {
    const token = this.#options.token?.();
    const { status, retryAfterMs } = await this.#post(
      {
        'content-type': 'application/x-ndjson; charset=utf-8',
        'user-agent': 'hoop',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      lines.map((line) => `${line}\n`).join(''),
      AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]),
    );
    if (status >= 200 && status < 300) return;
    const code =
      status === 408 || status === 429 || status >= 500 ? 'stream-unreachable' : 'stream-not-taken';
    throw new StreamError(code, `${this.#url.host} answered ${status}`, {
      retryAfterMs: status === 429 || status === 503 ? retryAfterMs : null,
    });
  }

  async #post(headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Answer> {
    try {
      const { ca, client } = this.#options;
      this.#agent ??= new Agent({
        connections: 1,
        connect: { timeout: timeoutMs, ca: ca?.(), ...client?.() },
      });
      const answer = await request(this.#url, {
        method: 'POST',
        headers,
        body,
        signal,
        dispatcher: this.#agent,
      });
      await answer.body.dump({ limit: 65_536, signal });
      const { 'retry-after': retryAfter } = answer.headers;
      return { status: answer.statusCode, retryAfterMs: parseRetryAfter(retryAfter, Date.now()) };
    } catch (cause) {
      throw new StreamError('stream-unreachable', `${this.#url.host} does not answer`, { cause });
    }
  }

  close(): void {
    this.#agent?.destroy().catch(() => undefined);
    this.#agent = null;
  }
}

/**
 * Retry-After (RFC 9110 §10.2.3): seconds, or an HTTP date in the one form that senders may write. An hour at most.
 * @returns null when there is none, or none that can be read
 */
export function parseRetryAfter(header: string | string[] | undefined, nowMs: number): number | null {
  if (typeof header !== 'string') return null;
  const text = header.trim();
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text);
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : date ? Date.parse(text) - nowMs : Number.NaN;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(waitMs, 0), longestRetryAfterMs);
}
