/**
 * From the form field `SAMLResponse` to what its signed assertion says. In this order: size, XML that has one meaning
 * (`xml.ts`), shape (`response.ts`), signatures and protocol by node-saml, then every condition once more on the very element
 * that the signature covers (`assertion.ts`). Nothing is read from anywhere else.
 *
 * Accepted is a signed assertion, or a signed response around one that is not; a signature that stands there and does not
 * verify is never passed over. Keys come from the metadata alone, whatever the message names.
 */
import { timingSafeEqual } from 'node:crypto';
import { SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import { ProviderError } from '../../error.ts';
import { readAssertion, type Expected, type ReadAssertion } from './assertion.ts';
import { shapeOf, type ResponseShape } from './response.ts';
import { Malformed, parseXml } from '../../../../system/xml.ts';

/** Of the field, base64: what a person in a thousand groups needs, some times over. */
export const maxFieldCharacters = 240_000;

/** As it came, decoded; its shape is checked, and nothing of it is believed. */
export interface UnverifiedResponse {
  readonly xml: string;
  readonly shape: ResponseShape;
}

/** @throws ProviderError `upstream-invalid` */
export function openResponse(field: string): UnverifiedResponse {
  return refusing(() => {
    if (field.length > maxFieldCharacters) throw new Malformed('it is too large');
    const base64 = field.replaceAll(/[\r\n \t]/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Malformed('it is not base64');
    const xml = decodeUtf8(Buffer.from(base64, 'base64'));
    return { xml, shape: shapeOf(parseXml(xml, { characters: maxFieldCharacters, comments: 'refused' })) };
  });
}

/**
 * @param certificates PEM, from the metadata
 * @throws ProviderError `upstream-invalid`, `upstream-denied` when the provider says that it signed nobody in
 */
export async function verifyResponse(
  { xml, shape }: UnverifiedResponse,
  certificates: readonly string[],
  expected: Expected,
): Promise<ReadAssertion> {
  checkEnvelope(shape, expected);
  const { assertion } = shape;
  if (assertion === null) throw denied(shape.status);
  const signed = await verifySignatures(xml, shape, certificates, expected);
  return refusing(() => {
    const read = readAssertion(
      parseXml(signed, { characters: 2 * maxFieldCharacters, comments: 'refused' }),
      expected,
    );
    if (read.id !== assertion.id) throw new Malformed('what is signed is another assertion');
    return read;
  });
}

/** Where only the assertion is signed anybody may have written these; then the assertion's own decide, and are the same. */
function checkEnvelope(shape: ResponseShape, expected: Expected): void {
  refusing(() => {
    if (!same(shape.inResponseTo, expected.requestId)) throw new Malformed('it answers another request');
    if (shape.destination !== null && shape.destination !== expected.recipient)
      throw new Malformed('its Destination is not this relay');
    // saml-bindings-2.0 §3.5.5.2: what is signed names where it goes.
    if (shape.destination === null && shape.responseSigned)
      throw new Malformed('it is signed and has no Destination');
    if (shape.issuer !== null && shape.issuer !== expected.issuer)
      throw new Malformed('it is of another identity provider');
    if (shape.assertion !== null && shape.assertion.issuer !== expected.issuer)
      throw new Malformed('its assertion is of another identity provider');
    if (shape.assertion !== null && !shape.responseSigned && !shape.assertion.signed)
      throw new Malformed('it is not signed');
  });
}

/** @returns the assertion as the signature covers it */
async function verifySignatures(
  xml: string,
  shape: ResponseShape,
  certificates: readonly string[],
  expected: Expected,
): Promise<string> {
  const library = new SAML({
    issuer: expected.audience,
    audience: expected.audience,
    callbackUrl: expected.recipient,
    idpCert: [...certificates],
    acceptedClockSkewMs: expected.clockSkewMs,
    // Every signature that stands there must verify; one must stand there.
    wantAuthnResponseSigned: shape.responseSigned,
    wantAssertionsSigned: shape.assertion?.signed ?? true,
    validateInResponseTo: ValidateInResponseTo.always,
    requestIdExpirationPeriodMs: requestLifetimeMs,
    cacheProvider: onlyRequest(expected),
  });
  const SAMLResponse = Buffer.from(xml.replaceAll(/\r\n?/g, '\n')).toString('base64');
  let signed: unknown;
  try {
    const { profile } = await library.validatePostResponseAsync({ SAMLResponse });
    signed = profile?.getAssertionXml?.();
  } catch (cause) {
    throw new ProviderError(
      'upstream-invalid',
      `${notAccepted}: its signature or a condition does not hold.`,
      {
        hint: 'the operator finds the reason in the log of the relay; its certificates come from the metadata alone',
        cause,
      },
    );
  }
  if (typeof signed !== 'string') throw invalid('nothing of it is signed');
  return signed;
}

/** Sign-ins are kept ten minutes by the broker; the library asks for a bound of its own. */
const requestLifetimeMs = 600_000;

/** The library's memory of requests: this one and no other. */
function onlyRequest({ requestId, requestedAtMs }: Expected) {
  return {
    saveAsync: async () => null,
    getAsync: async (id: string) => (id === requestId ? new Date(requestedAtMs).toISOString() : null),
    removeAsync: async () => null,
  };
}

const notAccepted = 'The answer of the identity provider is not accepted';

export const invalid = (why: string): ProviderError =>
  new ProviderError('upstream-invalid', `${notAccepted}: ${why}.`);

/** Runs what reads an answer; says of what is malformed that it was the answer. */
export function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Malformed ? invalid(error.message) : error;
  }
}

const denied = (status: readonly string[]): ProviderError =>
  new ProviderError('upstream-denied', `The identity provider did not sign you in (${status.join(', ')}).`, {
    hint: 'start again with hoop login; if it stays so, ask who runs the identity provider',
  });

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed('it is not UTF-8');
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
