/** Metadata of both sides: what is taken from the provider's, and what ours says. */
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { ProviderError } from '../../../../../src/relay/idp/error.ts';
import { parseMetadata } from '../../../../../src/relay/idp/upstream/saml/metadata.ts';
import {
  generateServiceProviderKey,
  parseServiceProviderKey,
  serviceProvider,
  serviceProviderMetadata,
} from '../../../../../src/relay/idp/upstream/saml/service-provider.ts';
import { metadataWarnings } from '../../../../../src/relay/saml.ts';
import { base64Of, entityId, metadataOf, newIdpKey, type Key } from './identity-provider.ts';

let key: Key;
before(async () => {
  key = await newIdpKey();
});

const refuses = (text: string, why: RegExp): void =>
  void assert.throws(
    () => parseMetadata(text),
    (error: unknown) =>
      error instanceof ProviderError && error.code === 'upstream-invalid' && why.test(error.message),
    String(why),
  );

test('who it is, where people sign in, and which keys sign', () => {
  const metadata = parseMetadata(`\uFEFF${metadataOf([key])}`);
  assert.equal(metadata.entityId, entityId);
  assert.equal(metadata.signInUrl, 'https://idp.example.com/sso');
  assert.equal(metadata.wantsSignedRequests, false);
  assert.equal(metadata.validUntilMs, null);
  const { n } = new X509Certificate(key.certificate).publicKey.export({ format: 'jwk' });
  assert.deepEqual(
    metadata.jwks.keys.map((jwk) => [jwk.kty, jwk.n, jwk.use, jwk.x5c]),
    [['RSA', n, 'sig', [base64Of(key)]]],
  );
});

test('a key for encryption signs nothing; one without a use does; one that stands twice is one', () => {
  const text = metadataOf([key, key]);
  assert.equal(parseMetadata(text).certificates.length, 1);
  assert.equal(parseMetadata(text.replaceAll(' use="signing"', '')).certificates.length, 1);
  refuses(text.replaceAll('use="signing"', 'use="encryption"'), /no certificate that signs/);
  const bare = text.replaceAll(
    /<ds:X509Data>.*?<\/ds:X509Data>/gs,
    '<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue>',
  );
  refuses(bare, /a bare key .* give the provider a certificate/);
});

test('metadata that would make sign-ins unsafe, or mean several things, is refused', () => {
  const good = metadataOf([key]);
  refuses('<x/>', /no identity provider/);
  refuses(good.replace('<?xml version="1.0"?>', '<!DOCTYPE x>'), /document type/);
  refuses(metadataOf([key], { entity: 'https://idp.example.com/#x' }), /#/);
  refuses(metadataOf([key], { signInUrl: 'http://idp.example.com/sso' }), /https/);
  refuses(metadataOf([key], { signInUrl: 'javascript:alert(1)' }), /https/);
  refuses(good.replace('HTTP-Redirect', 'HTTP-POST'), /HTTP-Redirect/);
  refuses(
    good.replace(/<ds:X509Certificate>\s*\w+/, '<ds:X509Certificate>AAAA'),
    /certificate in it is none/,
  );
  const entity = good.slice(good.indexOf('<md:EntityDescriptor'));
  const several = `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">${entity}${entity}</md:EntitiesDescriptor>`;
  refuses(several, /several/);
  assert.equal(parseMetadata(several.replace(entity, '')).entityId, entityId);
});

test('the earliest validUntil of its parts holds', () => {
  const [early, late] = ['2030-01-01T00:00:00Z', '2031-01-01T00:00:00Z'];
  const metadata = parseMetadata(
    metadataOf([key], { entityAttributes: ` validUntil="${late}"`, role: ` validUntil="${early}"` }),
  );
  assert.equal(metadata.validUntilMs, Date.parse(early));
});

test('our key carries its own certificate, and nothing else passes for it', async () => {
  const text = await generateServiceProviderKey();
  const made = parseServiceProviderKey(text)!;
  const certificate = new X509Certificate(made.certificate);
  assert.ok(certificate.verify(certificate.publicKey), 'signed by itself');
  assert.ok(certificate.validFromDate.getTime() <= Date.now());
  assert.ok(certificate.validToDate.getTime() > Date.now() + 10 * 365 * 86_400_000);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const wrong of [
    '',
    made.certificate,
    `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${made.certificate}`,
  ])
    assert.equal(parseServiceProviderKey(wrong), null);
});

test('our certificate still has a future where years no longer fit into two digits', async () => {
  for (const year of [2029, 2030, 2049, 2050]) {
    const made = parseServiceProviderKey(await generateServiceProviderKey(new Date(Date.UTC(year, 5, 1))))!;
    const { validFromDate, validToDate } = new X509Certificate(made.certificate);
    assert.deepEqual([validFromDate.getUTCFullYear(), validToDate.getUTCFullYear()], [year, year + 20]);
  }
});

test('our metadata can be read by others, and says what we want', async () => {
  const ours = serviceProvider('https://relay.example.com/idp', null);
  const text = serviceProviderMetadata(ours, key, true);
  assert.ok(text.startsWith('<?xml version="1.0"'));
  for (const part of [
    'entityID="https://relay.example.com/idp/saml/metadata"',
    'Location="https://relay.example.com/idp/saml/acs"',
    'AuthnRequestsSigned="true"',
    'WantAssertionsSigned="true"',
    base64Of(key),
  ])
    assert.ok(text.includes(part), part);
  assert.match(
    serviceProviderMetadata({ ...ours, entityId: 'urn:a"b' }, key, false),
    /entityID="urn:a&quot;b"/,
  );
});

test('the operator hears of an end two weeks before it', () => {
  const metadata = { ...parseMetadata(metadataOf([key])), validUntilMs: Date.parse('2030-01-10T00:00:00Z') };
  assert.deepEqual(metadataWarnings(metadata, Date.parse('2029-12-01T00:00:00Z')), []);
  assert.match(
    metadataWarnings(metadata, Date.parse('2030-01-02T00:00:00Z')).join(),
    /metadata ends on 2030-01-10/,
  );
  assert.match(metadataWarnings(metadata, Date.parse('2030-02-01T00:00:00Z')).join(), /nobody can sign in/);
  assert.match(
    metadataWarnings(metadata, Date.parse('2100-01-01T00:00:00Z')).join(),
    /certificate .* ended on/,
  );
});
