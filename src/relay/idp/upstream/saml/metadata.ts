/**
 * Metadata of an identity provider (saml-metadata-2.0): who it is, where people sign in, which keys sign. Trusted as the
 * operator's file, or by the TLS of its URL; it is the only place that certificates come from. Not read: a signature of the
 * document itself, and federations of many providers.
 */
import { X509Certificate, hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { JSONWebKeySet, JWK } from 'jose';
import { isLoopback } from '../../../config/loopback.ts';
import { ProviderError } from '../../error.ts';
import { attributeOf, childrenOf, descendants, ds, is, md, samlp, textOf, timeOf } from './elements.ts';
import { Malformed, parseXml, type XmlElement } from '../../../../system/xml.ts';

export interface IdpMetadata {
  readonly entityId: string;
  /** HTTP-Redirect. */
  readonly signInUrl: string;
  /** Several: one of them signs; the others are of before or after a rollover. */
  readonly certificates: readonly X509Certificate[];
  readonly wantsSignedRequests: boolean;
  readonly nameIdFormats: readonly string[];
  /** Milliseconds since the epoch; null when it does not end. */
  readonly validUntilMs: number | null;
  /** The keys as a JWKS, each with its certificate (`x5c`, RFC 7517 §4.7), for the record. */
  readonly jwks: JSONWebKeySet;
  /** SHA-256 of the canonical JSON of `jwks`, hex. */
  readonly digest: string;
}

const maxCharacters = 1 << 20;

const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
/** Below it RSA is broken sooner than the certificates end. */
const minModulusBits = 2048;

/** @throws ProviderError `upstream-invalid` */
export function parseMetadata(text: string): IdpMetadata {
  try {
    return readMetadata(
      parseXml(text.replace(/^\uFEFF/, ''), { characters: maxCharacters, comments: 'skipped' }),
    );
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new ProviderError(
      'upstream-invalid',
      `The metadata of the identity provider cannot be used: ${error.message}.`,
      {
        hint: 'identity.upstream.metadata is the SAML 2.0 metadata of one identity provider, a file or an https URL',
      },
    );
  }
}

function readMetadata(root: XmlElement): IdpMetadata {
  const providers = [...descendants(root)].filter((element) => idpRole(element) !== null);
  const [entity, ...others] = providers;
  if (entity === undefined) throw new Malformed('it describes no identity provider of SAML 2.0');
  if (others.length > 0)
    throw new Malformed('it describes several identity providers: give one with this one alone');
  const role = idpRole(entity)!;
  const entityId = attributeOf(entity, 'entityID');
  // Principals are written as issuer#subject, and nothing may look like another's.
  if (!/^[\x21-\x7E]{1,1024}$/.test(entityId) || entityId.includes('#'))
    throw new Malformed('its entityID is no URI, or has a # in it');
  const certificates = certificatesOf(role);
  const jwks = { keys: certificates.map(jwkOf) };
  return {
    entityId,
    signInUrl: signInUrlOf(role),
    certificates,
    wantsSignedRequests: /^(true|1)$/.test(role.attributes.get('WantAuthnRequestsSigned') ?? ''),
    nameIdFormats: childrenOf(role)
      .filter((child) => is(child, md, 'NameIDFormat'))
      .map((child) => textOf(child).trim()),
    validUntilMs: endOf([root, entity, role]),
    jwks,
    digest: hash('sha256', canonicalize(jwks) ?? '', 'hex'),
  };
}

/** Its role as an identity provider of SAML 2.0; null when it has none. */
function idpRole(entity: XmlElement): XmlElement | null {
  if (!is(entity, md, 'EntityDescriptor')) return null;
  const [role, another] = childrenOf(entity).filter(
    (child) =>
      is(child, md, 'IDPSSODescriptor') &&
      attributeOf(child, 'protocolSupportEnumeration').split(/\s+/).includes(samlp),
  );
  if (another !== undefined) throw new Malformed('its identity provider has several roles of one kind');
  return role ?? null;
}

function signInUrlOf(role: XmlElement): string {
  const service = childrenOf(role).find(
    (child) => is(child, md, 'SingleSignOnService') && child.attributes.get('Binding') === redirectBinding,
  );
  if (service === undefined) throw new Malformed('it has no SingleSignOnService for HTTP-Redirect');
  const location = attributeOf(service, 'Location');
  const url = URL.parse(location);
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url === null || !safe || url.username !== '' || url.hash !== '')
    throw new Malformed('its SingleSignOnService is not at an https URL');
  return location;
}

function certificatesOf(role: XmlElement): X509Certificate[] {
  const signing = childrenOf(role).filter(
    (child) => is(child, md, 'KeyDescriptor') && (child.attributes.get('use') ?? 'signing') === 'signing',
  );
  const found = new Map<string, X509Certificate>();
  for (const descriptor of signing)
    for (const element of descendants(descriptor))
      if (is(element, ds, 'X509Certificate')) {
        const certificate = certificateOf(textOf(element));
        found.set(certificate.fingerprint256, certificate);
      }
  if (found.size === 0) {
    const bare = signing.some((key) => [...descendants(key)].some((child) => is(child, ds, 'KeyValue')));
    throw new Malformed(
      bare
        ? 'it has a bare key that signs and no certificate of it: give the provider a certificate of its key'
        : 'it has no certificate that signs',
    );
  }
  if (found.size > 16) throw new Malformed('it has more than 16 certificates');
  return [...found.values()];
}

function certificateOf(base64: string): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    throw new Malformed('a certificate in it is none');
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) < minModulusBits)
    throw new Malformed(`a certificate in it is not of an RSA key of at least ${minModulusBits} bits`);
  return certificate;
}

function jwkOf(certificate: X509Certificate): JWK {
  const { kty, n, e } = certificate.publicKey.export({ format: 'jwk' });
  const thumbprint = hash('sha256', certificate.raw, 'base64url');
  return {
    kty: kty!,
    n: n!,
    e: e!,
    use: 'sig',
    kid: thumbprint,
    'x5t#S256': thumbprint,
    x5c: [certificate.raw.toString('base64')],
  };
}

function endOf(elements: readonly XmlElement[]): number | null {
  const ends = elements
    .filter((element) => element.attributes.has('validUntil'))
    .map((element) => timeOf(element, 'validUntil'));
  return ends.length === 0 ? null : Math.min(...ends);
}
