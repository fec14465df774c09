/** What a signed response must be, and everything that is known to be tried with one. */
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { ProviderError } from '../../../../../src/relay/idp/error.ts';
import type { Expected } from '../../../../../src/relay/idp/upstream/saml/assertion.ts';
import { personOf } from '../../../../../src/relay/idp/upstream/saml/person.ts';
import {
  maxFieldCharacters,
  openResponse,
  refusing,
  verifyResponse,
} from '../../../../../src/relay/idp/upstream/saml/signed-response.ts';
import {
  anaAttributes,
  attribute,
  classes,
  expectedNow,
  makeResponse,
  newIdpKey,
  signElement,
  wrappings,
  type Key,
  type ResponseOptions,
} from './identity-provider.ts';

let key: Key;
let other: Key;
before(async () => {
  [key, other] = await Promise.all([newIdpKey(), newIdpKey()]);
});

const encoded = (xml: string): string => Buffer.from(xml).toString('base64');

async function verify(xml: string, expected: Partial<Expected> = {}) {
  const read = await verifyResponse(openResponse(encoded(xml)), [key.certificate], {
    ...expectedNow(),
    ...expected,
  });
  const names = { email: 'mail', groups: 'groups', subject: null };
  return { ...read, ...refusing(() => personOf(read, names)) };
}

async function refuses(xml: string, why: RegExp, expected: Partial<Expected> = {}): Promise<void> {
  await assert.rejects(verify(xml, expected), (error: unknown) => {
    assert.ok(error instanceof ProviderError, String(error));
    assert.match(error.message, why);
    assert.doesNotMatch(error.message, /ana-1234|ana@example|root-0000/);
    return true;
  });
}

const response = (options: Partial<ResponseOptions> = {}): string => makeResponse({ key, ...options });

for (const sign of ['assertion', 'response', 'both'] as const)
  test(`a response is accepted as it was signed: ${sign}`, async () => {
    const { attributes: _, ...read } = await verify(
      response({ sign, id: '_a1', nowMs: 1000 * Math.floor(Date.now() / 1000) }),
    );
    assert.deepEqual(
      {
        subject: read.subject,
        email: read.email,
        groups: read.groups,
        acr: read.acr,
        id: read.id,
        session: read.session,
      },
      {
        subject: 'ana-1234',
        email: 'ana@example.com',
        groups: ['engineering', 'dba'],
        acr: `${classes}:PasswordProtectedTransport`,
        id: '_a1',
        session: '_s1',
      },
    );
    assert.ok(read.sessionEndsAtMs! > Date.now());
  });

test('SHA-512 and RSA-PSS are accepted too', async () => {
  const methods = [
    'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
    'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
  ];
  for (const signature of methods) {
    const digest = 'http://www.w3.org/2001/04/xmlenc#sha512';
    assert.equal((await verify(response({ algorithms: { signature, digest } }))).subject, 'ana-1234');
  }
});

test('lines that end as Windows ends them, and base64 in lines, are the same message', async () => {
  const xml = response({ attributes: `\n${anaAttributes}\n` });
  const lines = encoded(xml.replaceAll('\n', '\r\n')).replaceAll(/.{76}/g, '$&\r\n');
  const read = await verifyResponse(openResponse(lines), [key.certificate], expectedNow());
  assert.equal(read.nameId?.value, 'ana-1234');
});

test('signature wrapping: all eight variants are refused', async (t) => {
  const variants = wrappings(response({ sign: 'response' }), response());
  assert.equal(Object.keys(variants).length, 8);
  for (const [name, xml] of Object.entries(variants))
    await t.test(name, async () => {
      assert.ok(xml.includes('root-0000') && xml.includes('ana-1234'), 'holds both persons');
      await refuses(xml, /stands where it may not|unexpected element|more than one|not over where it stands/);
    });
});

test('comments, processing instructions and sections are refused wherever they stand', async () => {
  const victim = response({
    nameId: 'ana-1234.evil',
    attributes: attribute('mail', 'ana@example.com.evil.org'),
  });
  const tricks: [string, RegExp][] = [
    [victim.replace('ana-1234.evil', 'ana-1234<!---->.evil'), /comment/],
    [victim.replace('ana@example.com.evil', 'ana@example.com<!-- x -->.evil'), /comment/],
    [victim.replace('ana-1234.evil', 'ana-1234<?x?>.evil'), /processing instruction/],
    [victim.replace('ana-1234.evil', '<![CDATA[ana-1234]]>.evil'), /section/],
    [`${victim}<!-- after -->`, /comment/],
    [`<?php evil ?>${victim}`, /processing instruction/],
  ];
  for (const [xml, why] of tricks) await refuses(xml, why);
});

test('document types and entities are refused before they mean anything', async () => {
  const bomb = `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`;
  await refuses(response({ prologue: bomb }), /document type/);
  await refuses(response({ prologue: '<!DOCTYPE x SYSTEM "file:///etc/passwd">' }), /document type/);
  await refuses(response().replace('ana-1234', '&xxe;'), /entity/);
  await refuses(response().replace('ana-1234', '&#0;'), /character/);
});

function refused(field: string, why: RegExp): void {
  assert.throws(
    () => openResponse(field),
    (error: Error) => error instanceof ProviderError && why.test(error.message),
  );
}

test('a message that is too large, too deep, no base64 or no UTF-8 is refused before it is read', () => {
  refused('A'.repeat(maxFieldCharacters + 1), /too large/);
  refused('<Response/>', /base64/);
  refused(Buffer.from([0xff, 0xfe, 0x3c]).toString('base64'), /UTF-8/);
  refused(encoded('<a>'.repeat(40)), /deep/);
  refused(encoded(`<a>${'<b/>'.repeat(25_000)}</a>`), /many elements/);
});

test('what is not signed by the pinned key is refused', async () => {
  await refuses(response({ sign: 'none' }), /not signed/);
  await refuses(makeResponse({ key: other }), /signature/);
  await refuses(makeResponse({ key: other, sign: 'response' }), /signature/);
  // One signature that holds does not excuse the other.
  await refuses(signElement(response(), 'Response', { key: other }), /signature/);
  await refuses(signElement(makeResponse({ key: other }), 'Response', { key }), /signature/);
  const changed = response().replace('ana-1234', 'root-0000');
  await refuses(changed, /signature/);
  await refuses(response({ sign: 'response' }).replace('>dba<', '>root<'), /signature/);
  await refuses(response().replace(/<ds:Signature .*<\/ds:Signature>/s, ''), /not signed/);
});

test('a signature over another element, or with other rules, is refused', async () => {
  const xml = response();
  const part = signElement(xml.replace(/<ds:Signature .*<\/ds:Signature>/s, ''), 'Subject', { key });
  await refuses(part, /stands where it may not|not over where it stands|unexpected/);
  await refuses(xml.replace(/URI="#[^"]+"/, 'URI=""'), /not over where it stands/);
  await refuses(
    xml.replace('</ds:SignedInfo>', '<ds:Reference URI="#x"/></ds:SignedInfo>'),
    /more than one Reference/,
  );
  const xpath = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"/></ds:Transforms>';
  await refuses(xml.replace('</ds:Transforms>', xpath), /transforms/);
  await refuses(
    response({ algorithms: { canonical: 'http://www.w3.org/2001/10/xml-exc-c14n#WithComments' } }),
    /canonicalization|transforms/,
  );
  await refuses(
    response({ algorithms: { canonical: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315' } }),
    /canonicalization/,
  );
});

test('SHA-1 and shared keys are refused', async () => {
  const sha1 = { signature: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' };
  await refuses(response({ algorithms: sha1 }), /SHA-256/);
  await refuses(response({ algorithms: { digest: 'http://www.w3.org/2000/09/xmldsig#sha1' } }), /digest/);
  // A public key as the secret of an HMAC: the certificate is anybody's.
  const hmac = createHmac('sha1', key.certificate).update('x').digest('base64');
  const confused = response()
    .replace(
      'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
      'http://www.w3.org/2000/09/xmldsig#hmac-sha1',
    )
    .replace(/<ds:SignatureValue>[^<]*/, `<ds:SignatureValue>${hmac}`);
  await refuses(confused, /SHA-256/);
});

test('what the message says of keys decides nothing', async () => {
  // The attacker's key in KeyInfo, and the attacker's signature.
  await refuses(makeResponse({ key: other }), /signature/);
  const keyless = response().replace(/<ds:KeyInfo>.*<\/ds:KeyInfo>/s, '');
  assert.equal((await verify(keyless)).subject, 'ana-1234');
});

test('an assertion for somebody else, of somebody else, or not for now is refused', async () => {
  const now = Date.now();
  const tricks: [Partial<ResponseOptions>, RegExp][] = [
    [{ audience: 'https://other.example.com' }, /audience|condition/],
    [{ audience: null }, /audience|condition/],
    [{ recipient: 'https://other.example.com/acs' }, /Recipient/],
    [{ destination: 'https://other.example.com/acs' }, /Destination/],
    [{ destination: null, sign: 'response' }, /Destination/],
    [{ requestId: '_another' }, /another request/],
    [{ assertionInResponseTo: '_another' }, /another request|condition/],
    [{ issuer: 'https://evil.example.com' }, /another identity provider/],
    [{ notOnOrAfterMs: now - 61_000 }, /expired|condition/],
    [{ notBeforeMs: now + 70_000 }, /not valid yet|condition/],
    [{ issuedMs: now + 70_000 }, /future/],
    [{ issuedMs: now - 120_000 }, /older than the sign-in/],
    [{ authnInstantMs: now + 70_000 }, /AuthnInstant/],
    [{ sessionEndsMs: now - 61_000 }, /expired/],
    [{ nameIdAttributes: ' NameQualifier="https://other.example.com"' }, /NameQualifier/],
    [{ nameIdAttributes: ' SPNameQualifier="https://other.example.com"' }, /SPNameQualifier/],
    [{ format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }, /another at each sign-in/],
    [{ nameId: '' }, /NameID/],
    [{ nameId: ' ana-1234' }, /NameID/],
    [{ nameId: 'ana-1234&#10;' }, /NameID/],
    [{ nameId: 'ana\u200b-1234' }, /NameID/],
    [{ nameId: 'a<b xmlns=""/>' }, /element stands in the text/],
    [{ attributes: attribute('groups', 'a<b xmlns=""/>') }, /no text/],
    [{ attributes: '<saml:Evil/>' }, /unexpected element/],
  ];
  for (const [options, why] of tricks) await refuses(response(options), why);
});

test('the clock skew is as configured, and no more', async () => {
  const nowMs = Date.now();
  assert.ok(await verify(response({ notOnOrAfterMs: nowMs - 20_000 })));
  await refuses(response({ notOnOrAfterMs: nowMs - 20_000 }), /expired|condition/, { clockSkewMs: 5000 });
});

test('an unsigned InResponseTo or Destination of the envelope does not help: the assertion decides', async () => {
  const stolen = response({ requestId: '_victims', recipient: 'https://other.example.com/acs' });
  const dressed = stolen.replace(/(<samlp:Response [^>]*InResponseTo=")_victims/, '$1_request');
  await refuses(dressed, /signature or a condition|another request|Recipient/);
});

test('IDs, namespaces and envelopes that two readers could read in two ways are refused', async () => {
  const xml = response();
  const id = /<saml:Assertion [^>]*ID="([^"]+)"/.exec(xml)![1]!;
  const tricks: [string, RegExp][] = [
    [xml.replace(/(<samlp:Response [^>]*) ID="[^"]+"/, `$1 ID="${id}"`), /ID stands twice/],
    [xml.replace(/(<samlp:Status)/, `$1 Id="${id}"`), /ID stands twice/],
    [xml.replace(/(<saml:Assertion [^>]*)( ID=)/, `$1 id="_x"$2`), /two IDs/],
    [xml.replace('<samlp:Response ', '<samlp:Response xmlns:evil="urn:x" evil:ID="_x" '), /two IDs/],
    [xml.replace('<samlp:Response ', '<samlp:Response onload="x" '), /unexpected attribute/],
    [xml.replaceAll('urn:oasis:names:tc:SAML:2.0:protocol', 'urn:evil'), /no Response/],
    [
      xml.replace('<saml:Assertion ', '<saml:Assertion xmlns:saml="urn:evil" '),
      /unexpected element|no Assertion/,
    ],
    [
      xml.replace('<ds:Signature ', '<x:Signature xmlns:x="urn:evil"/><ds:Signature '),
      /Signature|unexpected/,
    ],
    [xml.replace('<samlp:Status>', 'text<samlp:Status>'), /text stands/],
    [xml.replace('<samlp:Status>', '<samlp:Extensions/><samlp:Status>'), /unexpected element/],
    [xml.replace('Version="2.0"', 'Version="1.1"'), /SAML 2.0/],
    [`${xml}${xml}`, /follows its root/],
    [xml.replace(/<saml:Assertion .*<\/saml:Assertion>/s, '$&$&'), /twice|more than one/],
    [xml.replace(/<saml:Assertion .*<\/saml:Assertion>/s, '<saml:EncryptedAssertion/>'), /encrypted/],
  ];
  for (const [changed, why] of tricks) {
    assert.notEqual(changed, xml);
    await refuses(changed, why);
  }
});

test('what the provider did not do is told as its status, signed or not', async () => {
  const failed = response({ sign: 'none', status: 'urn:oasis:names:tc:SAML:2.0:status:Responder' });
  await assert.rejects(verify(failed), { code: 'upstream-denied', message: /Responder/ });
  const odd = response({ sign: 'none', status: 'javascript:alert(1)' });
  await assert.rejects(verify(odd), { code: 'upstream-denied', message: /\(Other\)/ });
  await refuses(response().replace('status:Success', 'status:Requester'), /assertion and no success/);
});

test('whatever single character changes, the response is refused or says the same', async () => {
  const xml = response();
  const whole = JSON.stringify(await verify(xml));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(xml.length - 1),
      fc.constantFrom('x', '<', '>', '"', ' ', '&', '/', '0', '\n'),
      async (at, put) => {
        const changed = xml.slice(0, at) + put + xml.slice(at + 1);
        const read = await verify(changed).catch((error: unknown) => {
          assert.ok(error instanceof ProviderError, String(error));
          return null;
        });
        if (read !== null) assert.equal(JSON.stringify(read), whole);
      },
    ),
    { numRuns: 300 },
  );
});
