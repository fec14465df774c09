/**
 * Tells others of reviews over HTTPS, signed by Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`,
 * `webhook-timestamp`, `webhook-signature: v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
 *
 * Nothing waits for it: what a webhook does not take in time is dropped, told to the operator, and found in `hoop reviews`
 * all the same. It follows no redirect and reads no answer but its status.
 */
import { createHmac } from 'node:crypto';
import { request } from 'undici';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import { ConfigError } from '../config/error.ts';
import type { WebhookConfig } from '../config/config.ts';
import { isWebhookUrl } from '../config/rules.ts';
import { settingValue } from '../config/secret.ts';
import type { NewReview, StoredDecision } from '../state/reviews.ts';
import { messageBody, type ReviewNews, type ReviewOutcome } from './webhook-message.ts';

export interface WebhooksOptions {
  readonly webhooks: readonly WebhookConfig[];
  /** Base URL of this relay, for messages. */
  readonly relay: string;
  readonly clock: Clock;
  /** Waits between attempts; the number of attempts is one more. */
  readonly retryMs?: readonly number[];
  /** A message was given up. `address`: where to, host and port alone; empty when that cannot be told. */
  readonly onFailure: (address: string, error: unknown) => void;
}

interface Message {
  readonly id: string;
  readonly body: string;
}

const retryAfterMs = [1000, 5000, 20_000, 60_000, 120_000];
const timeoutMs = 10_000;
/** Messages that wait, or are on their way, for one webhook. */
const waitingMost = 1000;
const atOnce = 4;

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #lines: readonly Line[];
  readonly #stop = new AbortController();

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#lines = options.webhooks.map((webhook) => new Line(webhook, options, this.#stop.signal));
  }

  requested(review: NewReview): void {
    this.#tell({ review, outcome: null, by: null });
  }

  over(review: NewReview, outcome: ReviewOutcome, by: StoredDecision | null): void {
    this.#tell({ review, outcome, by });
  }

  /** Gives up what waits. */
  close(): void {
    this.#stop.abort();
  }

  #tell(news: Omit<ReviewNews, 'relay' | 'timeMs'>): void {
    const { relay, clock } = this.#options;
    for (const line of this.#lines) line.tell({ ...news, relay, timeMs: clock.wallMs() });
  }
}

/** What waits for one webhook, in order of its making. */
class Line {
  readonly #webhook: WebhookConfig;
  readonly #options: WebhooksOptions;
  readonly #stop: AbortSignal;
  readonly #waiting: Message[] = [];
  #running = 0;

  constructor(webhook: WebhookConfig, options: WebhooksOptions, stop: AbortSignal) {
    this.#webhook = webhook;
    this.#options = options;
    this.#stop = stop;
  }

  tell(news: ReviewNews): void {
    const { groups } = this.#webhook;
    if (groups.length > 0 && !news.review.needed.some(({ group }) => groups.includes(group))) return;
    if (this.#waiting.length + this.#running >= waitingMost) {
      this.#options.onFailure('', new Error('too many messages wait'));
      return;
    }
    const message = { id: `msg_${ulid(news.timeMs)}`, body: messageBody(news, this.#webhook) };
    this.#waiting.push(message);
    this.#next();
  }

  #next(): void {
    if (this.#running >= atOnce || this.#stop.aborted) return;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    this.#running++;
    void this.#deliver(message).finally(() => {
      this.#running--;
      this.#next();
    });
  }

  async #deliver(message: Message): Promise<void> {
    const { retryMs = retryAfterMs, onFailure } = this.#options;
    let address = '';
    for (let attempt = 0; ; attempt++) {
      try {
        const access = webhookAccess(this.#webhook);
        address = new URL(access.url).host;
        const status = await this.#post(access, message);
        if (status >= 200 && status < 300) return;
        throw new Error(`answered ${status}`);
      } catch (error) {
        const wait = retryMs[attempt];
        if (this.#stop.aborted) return;
        if (wait === undefined) return onFailure(address, error);
        if (!(await this.#pause(wait))) return;
      }
    }
  }

  async #post({ url, key }: WebhookAccess, { id, body }: Message): Promise<number> {
    const timestamp = Math.floor(this.#options.clock.wallMs() / 1000);
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'user-agent': 'hoop',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
    };
    if (key !== null) {
      const content = `${id}.${timestamp}.${body}`;
      headers['webhook-signature'] = `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
    }
    const signal = AbortSignal.any([this.#stop, AbortSignal.timeout(timeoutMs)]);
    const answer = await request(url, { method: 'POST', headers, body, signal });
    // The answer says nothing that is needed; a long one is not waited for.
    await answer.body.dump({ limit: 65_536, signal }).catch(() => undefined);
    return answer.statusCode;
  }

  /** False when there is nothing to wait for any more. */
  #pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.removeEventListener('abort', done);
        resolve(!this.#stop.aborted);
      };
      const timer = setTimeout(done, ms).unref();
      this.#stop.addEventListener('abort', done, { once: true });
    });
  }
}

const leastSecretLength = 16;

/**
 * Where messages go and the key that signs them, read now.
 * @throws ConfigError `secret-unavailable` (also when it is too short to keep anybody out), `secret-exposed`,
 *   `config-invalid` when a reference leads to no https URL
 */
export function webhookAccess({ url: setting, secret: reference }: WebhookConfig): WebhookAccess {
  const url = settingValue(setting).trim();
  if (!isWebhookUrl(url)) throw new ConfigError('config-invalid', 'the URL of a webhook is not https');
  const secret = reference?.resolve() ?? null;
  if (secret === null) return { url, key: null };
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  if (key.length < leastSecretLength)
    throw new ConfigError('secret-unavailable', 'the secret of a webhook is shorter than 16 bytes');
  return { url, key };
}

export interface WebhookAccess {
  readonly url: string;
  /** Null: messages are not signed. */
  readonly key: Buffer | null;
}
