/**
 * People sign in at a SAML 2.0 identity provider (Web Browser SSO, saml-profiles-2.0 §4.1): an AuthnRequest by redirect,
 * a Response by a form that the provider's page posts to `RELAY/idp/saml/acs`. That post comes from another site, without our
 * cookie: the broker takes it as it takes every answer, and it is read here only in the browser that left. Deliberately
 * not here: sign-ins that nobody asked for (IdP-initiated), single logout, artifact binding, encrypted assertions.
 */
import { hash, randomBytes } from 'node:crypto';
import { SAML } from '@node-saml/node-saml';
import { z } from 'zod';
import type { ReplayCache } from '../../../../identity/replay.ts';
import type { Clock } from '../../../../system/clock.ts';
import { ProviderError } from '../../error.ts';
import type { Upstream, UpstreamAnswer, UpstreamIdentity, UpstreamRequest } from '../upstream.ts';
import type { Json } from '../upstream.ts';
import { personOf, type SamlAttributes } from './person.ts';
import { MetadataSource } from './metadata-source.ts';
import type { IdpMetadata } from './metadata.ts';
import {
  serviceProviderMetadata,
  type ServiceProvider,
  type ServiceProviderKey,
} from './service-provider.ts';
import {
  invalid,
  openResponse,
  refusing,
  verifyResponse,
  type UnverifiedResponse,
} from './signed-response.ts';
import type { Expected, ReadAssertion } from './assertion.ts';

export interface SamlUpstreamOptions {
  readonly serviceProvider: ServiceProvider;
  readonly key: ServiceProviderKey;
  /** Absolute path of a file, or https URL. */
  readonly metadata: string;
  readonly attributes: SamlAttributes;
  readonly clockSkewMs: number;
  readonly replay: ReplayCache;
  readonly clock: Clock;
  /** Told of the provider's keys before an answer is accepted by them; when it throws, they are not used. */
  readonly onKeys?: (metadata: IdpMetadata) => Promise<void>;
  /** For the operator's log: the metadata could not be read again, and the old is still good. */
  readonly onError: (error: Error) => void;
}

const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

/** What `begin` keeps for `finish`. */
const Kept = z.object({
  requestId: z.string(),
  requestedAtMs: z.number(),
  forced: z.boolean(),
  acr: z.string().nullable(),
});
type Kept = z.infer<typeof Kept>;

export class SamlUpstream implements Upstream {
  readonly kind = 'saml';
  readonly id: string;
  readonly endedSession = null;
  readonly #options: SamlUpstreamOptions;
  readonly #source: MetadataSource;

  constructor(options: SamlUpstreamOptions) {
    this.#options = options;
    this.id = `saml ${options.metadata}`;
    this.#source = new MetadataSource({
      location: options.metadata,
      clock: options.clock,
      onKeys: options.onKeys,
      onError: options.onError,
    });
  }

  /**
   * Reads the metadata before anybody signs in. A file that cannot be used stops the start; a URL may answer later.
   * @throws ProviderError `upstream-unreachable`, `upstream-invalid`
   */
  async prepare(): Promise<void> {
    const { metadata, onError } = this.#options;
    try {
      await this.#source.get();
    } catch (error) {
      if (!/^https?:/i.test(metadata) || !(error instanceof ProviderError)) throw error;
      onError(error);
    }
  }

  async begin({ state, step }: UpstreamRequest): Promise<{ redirect: string; keep: Json }> {
    const { serviceProvider, key, clock, attributes } = this.#options;
    const metadata = await this.#source.get();
    const kept: Kept = {
      requestId: `_${randomBytes(20).toString('hex')}`,
      requestedAtMs: clock.wallMs(),
      forced: step.maxAgeSeconds !== null,
      acr: step.acr,
    };
    const library = new SAML({
      issuer: serviceProvider.entityId,
      callbackUrl: serviceProvider.acsUrl,
      entryPoint: metadata.signInUrl,
      idpCert: metadata.certificates.map(String),
      generateUniqueId: () => kept.requestId,
      // A subject that stays: asked for where it is offered, and judged by what comes back.
      identifierFormat:
        attributes.subject === null && metadata.nameIdFormats.includes(persistent) ? persistent : null,
      forceAuthn: kept.forced,
      disableRequestedAuthnContext: step.acr === null,
      ...(step.acr === null ? {} : { authnContext: [step.acr], racComparison: 'exact' }),
      ...(metadata.wantsSignedRequests ? { privateKey: key.privateKey, signatureAlgorithm: 'sha256' } : {}),
    });
    return { redirect: await library.getAuthorizeUrlAsync(state, undefined, {}), keep: kept };
  }

  async finish({ form, keep }: UpstreamAnswer): Promise<UpstreamIdentity> {
    const kept = Kept.parse(keep);
    const [field, ...others] = form?.getAll('SAMLResponse') ?? [];
    if (field === undefined || others.length > 0) throw invalid('it is no form with one SAMLResponse');
    const response = openResponse(field);
    const { assertion, metadata } = await this.#verify(response, kept);
    if (kept.acr !== null && assertion.acr !== kept.acr) throw invalid('its AuthnContextClassRef is another');
    if (kept.forced && assertion.authTimeMs < kept.requestedAtMs - this.#options.clockSkewMs)
      throw invalid('its AuthnInstant is older than the sign-in, which asked for a new one');
    await this.#refuseSecondUse(assertion, metadata);
    const person = refusing(() => personOf(assertion, this.#options.attributes));
    return {
      issuer: metadata.entityId,
      ...person,
      authTimeMs: assertion.authTimeMs,
      acr: assertion.acr,
      amr: [],
      session: assertion.session,
      endsAtMs: assertion.sessionEndsAtMs,
      proof: { kind: 'saml-response', text: response.xml },
      kept: null,
    };
  }

  /**
   * Nobody can be asked about the person without the browser; but a sign-in at another provider than the one that is configured
   * now is over. While its metadata cannot be read, nothing says that it is another.
   */
  async renew(before: UpstreamIdentity): Promise<UpstreamIdentity> {
    const metadata = await this.#source.get().catch(() => null);
    if (metadata === null || metadata.entityId === before.issuer) return before;
    throw new ProviderError(
      'upstream-denied',
      'The sign-in was at another identity provider than there is now.',
    );
  }

  async describe(): Promise<string> {
    const { serviceProvider, key } = this.#options;
    return serviceProviderMetadata(serviceProvider, key, (await this.#source.get()).wantsSignedRequests);
  }

  /** By the metadata as it is; once more by a newer one, when the provider may have changed its key. */
  async #verify(
    response: UnverifiedResponse,
    kept: Kept,
  ): Promise<{ assertion: ReadAssertion; metadata: IdpMetadata }> {
    const metadata = await this.#source.get();
    const attempt = async (by: IdpMetadata) => ({
      assertion: await verifyResponse(response, by.certificates.map(String), this.#expected(by, kept)),
      metadata: by,
    });
    const known = new Set(metadata.certificates.map(({ raw }) => hash('sha256', raw, 'hex')));
    const { namedCertificates: named, assertion, responseSigned } = response.shape;
    const byKnown = named.length > 0 && named.every((certificate) => known.has(certificate));
    const signed = responseSigned || assertion?.signed === true;
    try {
      return await attempt(metadata);
    } catch (error) {
      if (byKnown || !signed) throw error;
      const newer = await this.#source.newerThan(metadata);
      if (newer === null) throw error;
      return attempt(newer);
    }
  }

  #expected(metadata: IdpMetadata, { requestId, requestedAtMs }: Kept): Expected {
    const { serviceProvider, clock, clockSkewMs } = this.#options;
    return {
      issuer: metadata.entityId,
      audience: serviceProvider.entityId,
      recipient: serviceProvider.acsUrl,
      requestId,
      requestedAtMs,
      nowMs: clock.wallMs(),
      clockSkewMs,
    };
  }

  /** saml-profiles-2.0 §4.1.4.5: bearer assertions are not replayed, over all relays that share the state. */
  async #refuseSecondUse({ id, usableUntilMs }: ReadAssertion, { entityId }: IdpMetadata): Promise<void> {
    const name = hash('sha256', JSON.stringify([entityId, id]), 'hex');
    if (!(await this.#options.replay.firstUse(`saml-assertion:${name}`, usableUntilMs)))
      throw new ProviderError('upstream-invalid', 'The answer of the identity provider was used before.');
  }
}
