/**
 * Metadata as it is now: read again once a day, and when a message is signed by a key that is not in it, but never more often
 * than every 30 seconds: nobody's messages make the relay flood the provider. While its URL does not answer, what was
 * read last stays good for a week, and never past its own `validUntil`.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../../../system/clock.ts';
import { ProviderError } from '../../error.ts';
import { askIssuer } from '../../issuer-fetch.ts';
import { parseMetadata, type IdpMetadata } from './metadata.ts';

export interface MetadataSourceOptions {
  /** Absolute path of a file, or https URL (http on loopback). */
  readonly location: string;
  readonly clock: Clock;
  /** Told of each set of keys before a message is accepted by it; when it throws, the keys are not used. */
  readonly onKeys?: ((metadata: IdpMetadata) => Promise<void>) | undefined;
  /** Told why it could not be read again, while what was read before stays good. */
  readonly onError: (error: Error) => void;
}

const freshMs = 86_400_000;
const staleMs = 7 * 86_400_000;
const coolDownMs = 30_000;

export class MetadataSource {
  readonly #options: MetadataSourceOptions;
  #seen: IdpMetadata | null = null;
  #seenAtMs = -Infinity;
  #triedAtMs = -Infinity;
  #running: Promise<IdpMetadata> | null = null;

  constructor(options: MetadataSourceOptions) {
    this.#options = options;
  }

  /** @throws ProviderError `upstream-unreachable`, `upstream-invalid` */
  async get(): Promise<IdpMetadata> {
    const now = this.#options.clock.monotonicMs();
    const usable = this.#usable();
    if (usable !== null && now - this.#seenAtMs < freshMs) return usable;
    if (this.#running === null && now - this.#triedAtMs < coolDownMs) {
      if (usable !== null) return usable;
      throw unreachable();
    }
    try {
      return await this.#refresh();
    } catch (error) {
      if (usable === null) throw error;
      this.#tell(error);
      return usable;
    }
  }

  /** Reads again, for a key that is not among those of `before`; null when there is nothing newer to be had now. */
  async newerThan(before: IdpMetadata): Promise<IdpMetadata | null> {
    const cooling = this.#options.clock.monotonicMs() - this.#triedAtMs < coolDownMs;
    if (cooling && this.#running === null) {
      const usable = this.#usable();
      return usable !== null && usable.digest !== before.digest ? usable : null;
    }
    const seen = await this.#refresh().catch((error: unknown) => this.#tell(error));
    return seen !== null && seen.digest !== before.digest ? seen : null;
  }

  #tell(error: unknown): null {
    this.#options.onError(error instanceof Error ? error : new Error('failed', { cause: error }));
    return null;
  }

  #usable(): IdpMetadata | null {
    const { clock } = this.#options;
    const seen = this.#seen;
    if (seen === null || clock.monotonicMs() - this.#seenAtMs >= staleMs) return null;
    return seen.validUntilMs === null || clock.wallMs() < seen.validUntilMs ? seen : null;
  }

  #refresh(): Promise<IdpMetadata> {
    this.#running ??= this.#load().finally(() => {
      this.#running = null;
      this.#triedAtMs = this.#options.clock.monotonicMs();
    });
    return this.#running;
  }

  async #load(): Promise<IdpMetadata> {
    const { location, clock, onKeys } = this.#options;
    const metadata = await readMetadata(location);
    if (metadata.validUntilMs !== null && clock.wallMs() >= metadata.validUntilMs)
      throw new ProviderError(
        'upstream-invalid',
        'The metadata of the identity provider has ended (validUntil).',
        {
          hint: 'give the relay the provider’s present metadata: identity.upstream.metadata',
        },
      );
    // Another provider would bring other people of the same names.
    if (this.#seen !== null && metadata.entityId !== this.#seen.entityId)
      throw new ProviderError(
        'upstream-invalid',
        'The metadata is of another identity provider than before (entityID).',
        { hint: 'if it is meant to be, restart the relay: everybody signs in anew, as another person' },
      );
    if (metadata.digest !== this.#seen?.digest) await onKeys?.(metadata);
    this.#seen = metadata;
    this.#seenAtMs = clock.monotonicMs();
    return metadata;
  }
}

/**
 * @param location absolute path of a file, or URL
 * @throws ProviderError `upstream-unreachable`, `upstream-invalid`
 */
export async function readMetadata(location: string): Promise<IdpMetadata> {
  let text: string;
  try {
    text = /^https?:/.test(location) ? await fetchMetadata(location) : await readFile(location, 'utf8');
  } catch (cause) {
    throw unreachable(cause);
  }
  return parseMetadata(text);
}

async function fetchMetadata(url: string): Promise<string> {
  const accept = 'application/samlmetadata+xml, application/xml, text/xml';
  const answer = await askIssuer(url, { method: 'GET', headers: { accept } });
  if (!answer.ok) throw new Error(`the identity provider answered ${answer.status}`);
  return answer.text();
}

function unreachable(cause?: unknown): ProviderError {
  // Of undici the reason stands one deeper.
  const reason = [cause, cause instanceof Error ? cause.cause : null].find(
    (error): error is Error & { code: string } =>
      error instanceof Error && 'code' in error && typeof error.code === 'string',
  );
  const why = reason === undefined ? '' : ` (${reason.code})`;
  return new ProviderError(
    'upstream-unreachable',
    `The metadata of the identity provider cannot be read${why}.`,
    {
      hint: 'try again; if it stays so, the operator looks at identity.upstream.metadata: hoop relay check --connect',
      cause,
    },
  );
}
