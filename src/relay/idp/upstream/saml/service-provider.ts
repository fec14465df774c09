/**
 * The relay as a SAML service provider: its key with a certificate of its own making, which only carries the key (nobody
 * checks its name or its dates), and its metadata.
 */
import {
  X509Certificate,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  randomBytes,
  sign,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { html as xml } from '../../html.ts';

/** PEM texts. */
export interface ServiceProviderKey {
  readonly privateKey: string;
  readonly certificate: string;
}

export interface ServiceProvider {
  readonly entityId: string;
  /** Assertion consumer service: where answers come. */
  readonly acsUrl: string;
}

/** @param issuer of the embedded provider, `RELAY/idp` @param entityId as configured; null: the metadata's own URL */
export const serviceProvider = (issuer: string, entityId: string | null): ServiceProvider => ({
  entityId: entityId ?? `${issuer}/saml/metadata`,
  acsUrl: `${issuer}/saml/acs`,
});

/** @returns a file's text: the private key (PKCS #8) and the certificate, PEM, one after the other */
export async function generateServiceProviderKey(now = new Date()): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 3072 });
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${selfSigned(privateKey, now)}`;
}

/** Null when the text is not what `generateServiceProviderKey` makes. */
export function parseServiceProviderKey(text: string): ServiceProviderKey | null {
  const [privateKey, certificate] = ['PRIVATE KEY', 'CERTIFICATE'].map(
    (label) => new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`).exec(text)?.[0],
  );
  if (privateKey === undefined || certificate === undefined) return null;
  try {
    const key = createPrivateKey(privateKey);
    const matches = new X509Certificate(certificate).checkPrivateKey(key);
    return matches && key.asymmetricKeyType === 'rsa' ? { privateKey, certificate } : null;
  } catch {
    return null;
  }
}

/** saml-metadata-2.0 §2.4.4. @param signsRequests as the identity provider's metadata wants it */
export function serviceProviderMetadata(
  { entityId, acsUrl }: ServiceProvider,
  { certificate }: ServiceProviderKey,
  signsRequests: boolean,
): string {
  const base64 = new X509Certificate(certificate).raw.toString('base64');
  return xml`<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}">
  <md:SPSSODescriptor AuthnRequestsSigned="${String(signsRequests)}" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:KeyDescriptor use="signing">
      <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
        <ds:X509Data><ds:X509Certificate>${base64}</ds:X509Certificate></ds:X509Data>
      </ds:KeyInfo>
    </md:KeyDescriptor>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:AssertionConsumerService index="0" isDefault="true" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${acsUrl}"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
`.text;
}

/** X.509 v3 (RFC 5280 §4.1), as little of it as there can be. */
function selfSigned(privateKey: KeyObject, now: Date): string {
  const algorithm = der(0x30, oid('2a864886f70d01010b'), der(0x05)); // sha256WithRSAEncryption
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from('hoop relay')))));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const end = new Date(Date.UTC(now.getUTCFullYear() + 20, 0, 1));
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))), // v3
    der(0x02, serial),
    algorithm,
    name,
    der(0x30, timeOf(now), timeOf(end)),
    name,
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]);
  return new X509Certificate(der(0x30, body, algorithm, der(0x03, signature))).toString();
}

const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));

/** RFC 5280 §4.1.2.5: UTCTime, whose years have two digits, through 2049, and GeneralizedTime from then on. */
function timeOf(date: Date): Buffer {
  const text = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

/** ITU-T X.690 §8.1: tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
