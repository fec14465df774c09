/** A receiver over https: a batch is one POST of JSON lines; any 2xx is its acknowledgement. Redirects are not followed. */
import { Agent, request } from 'undici';
import type { Destination, DestinationOptions } from './destination.ts';
import { StreamError } from './error.ts';

const timeoutMs = 30_000;

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
    const status = await this.#post(
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
    throw new StreamError(code, `${this.#url.host} answered ${status}`);
  }

  async #post(headers: Record<string, string>, body: string, signal: AbortSignal): Promise<number> {
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
      // What it says beside the status is nobody's business here.
      await answer.body.dump({ limit: 65_536, signal });
      return answer.statusCode;
    } catch (cause) {
      throw new StreamError('stream-unreachable', `${this.#url.host} does not answer`, { cause });
    }
  }

  close(): void {
    this.#agent?.destroy().catch(() => undefined);
    this.#agent = null;
  }
}
