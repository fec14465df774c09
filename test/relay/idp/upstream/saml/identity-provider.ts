/**
 * A SAML identity provider of the tests' own: its key, its metadata, responses that are genuinely signed, and what an
 * attacker makes of one without the key.
 */
import { randomBytes } from 'node:crypto';
import { DOMParser, XMLSerializer } from '@xmldom/xmldom';
import { SignedXml } from 'xml-crypto';
import {
  generateServiceProviderKey,
  parseServiceProviderKey,
} from '../../../../../src/relay/idp/upstream/saml/service-provider.ts';
import type { Expected } from '../../../../../src/relay/idp/upstream/saml/assertion.ts';

export const entityId = 'https://idp.example.com/saml';
export const audience = 'https://relay.example.com/idp/saml/metadata';
export const acs = 'https://relay.example.com/idp/saml/acs';

const c14n = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';

export interface Key {
  readonly privateKey: string;
  readonly certificate: string;
}

/** One for all: making a key takes a second. */
export const newIdpKey = async (): Promise<Key> =>
  parseServiceProviderKey(await generateServiceProviderKey())!;

export const base64Of = ({ certificate }: Key): string => certificate.replaceAll(/-----[^-]+-----|\s/g, '');

export interface ResponseOptions {
  readonly key: Key;
  readonly sign?: 'assertion' | 'response' | 'both' | 'none';
  readonly requestId?: string;
  readonly assertionInResponseTo?: string;
  readonly destination?: string | null;
  readonly recipient?: string;
  readonly audience?: string | null;
  readonly issuer?: string;
  readonly nameId?: string;
  /** After the Format. */
  readonly nameIdAttributes?: string;
  readonly format?: string;
  readonly nowMs?: number;
  readonly notBeforeMs?: number;
  readonly notOnOrAfterMs?: number;
  readonly issuedMs?: number;
  readonly authnInstantMs?: number;
  readonly sessionEndsMs?: number | null;
  readonly context?: string;
  readonly attributes?: string;
  readonly status?: string;
  readonly algorithms?: {
    readonly signature?: string;
    readonly digest?: string;
    readonly canonical?: string;
  };
  /** Stands before the root. */
  readonly prologue?: string;
  readonly id?: string;
}

export const classes = 'urn:oasis:names:tc:SAML:2.0:ac:classes';
export const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

export const attribute = (name: string, ...values: string[]): string =>
  `<saml:Attribute Name="${name}">${values
    .map((value) => `<saml:AttributeValue xsi:type="xs:string">${value}</saml:AttributeValue>`)
    .join('')}</saml:Attribute>`;

export const anaAttributes = attribute('mail', 'ana@example.com') + attribute('groups', 'engineering', 'dba');

const time = (ms: number): string => new Date(ms).toISOString();

export function makeResponse(options: ResponseOptions): string {
  const now = options.nowMs ?? Date.now();
  const requestId = options.requestId ?? '_request';
  const id = options.id ?? `_a${randomBytes(8).toString('hex')}`;
  const issuer = `<saml:Issuer>${options.issuer ?? entityId}</saml:Issuer>`;
  const end = time(options.notOnOrAfterMs ?? now + 300_000);
  const to = options.audience === undefined ? audience : options.audience;
  const sessionEnd =
    options.sessionEndsMs === null
      ? ''
      : ` SessionNotOnOrAfter="${time(options.sessionEndsMs ?? now + 28_800_000)}"`;
  const assertion = `<saml:Assertion xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="${id}" Version="2.0" IssueInstant="${time(options.issuedMs ?? now)}">${issuer}<saml:Subject><saml:NameID Format="${options.format ?? persistent}"${options.nameIdAttributes ?? ''}>${options.nameId ?? 'ana-1234'}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="${end}" Recipient="${options.recipient ?? acs}" InResponseTo="${options.assertionInResponseTo ?? requestId}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${time(options.notBeforeMs ?? now - 30_000)}" NotOnOrAfter="${end}">${to === null ? '' : `<saml:AudienceRestriction><saml:Audience>${to}</saml:Audience></saml:AudienceRestriction>`}</saml:Conditions><saml:AuthnStatement AuthnInstant="${time(options.authnInstantMs ?? now)}"${sessionEnd} SessionIndex="_s1"><saml:AuthnContext><saml:AuthnContextClassRef>${options.context ?? `${classes}:PasswordProtectedTransport`}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>${options.attributes ?? anaAttributes}</saml:AttributeStatement></saml:Assertion>`;
  const destination = options.destination === null ? '' : ` Destination="${options.destination ?? acs}"`;
  const status = options.status ?? 'urn:oasis:names:tc:SAML:2.0:status:Success';
  const success = status.endsWith(':Success');
  const plain = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r${randomBytes(8).toString('hex')}" Version="2.0" IssueInstant="${time(now)}"${destination} InResponseTo="${requestId}">${issuer}<samlp:Status><samlp:StatusCode Value="${status}"/></samlp:Status>${success ? assertion : ''}</samlp:Response>`;
  const sign = options.sign ?? 'assertion';
  let xml = plain;
  if (sign === 'assertion' || sign === 'both') xml = signElement(xml, 'Assertion', options);
  if (sign === 'response' || sign === 'both') xml = signElement(xml, 'Response', options);
  return (options.prologue ?? '') + xml;
}

/** Signs the first element of that name, as saml-core-2.0 §5.4 says, after its Issuer; or a Subject, which nobody should. */
export function signElement(
  xml: string,
  name: string,
  { key, algorithms = {} }: Pick<ResponseOptions, 'key' | 'algorithms'>,
): string {
  const signer = new SignedXml({
    privateKey: key.privateKey,
    publicCert: key.certificate,
    idAttribute: 'ID',
  });
  signer.signatureAlgorithm = algorithms.signature ?? 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256';
  signer.canonicalizationAlgorithm = (algorithms.canonical ?? c14n) as typeof c14n;
  const xpath = `//*[local-name(.)='${name}']`;
  signer.addReference({
    xpath,
    transforms: [enveloped, algorithms.canonical ?? c14n],
    digestAlgorithm: algorithms.digest ?? 'http://www.w3.org/2001/04/xmlenc#sha256',
  });
  signer.computeSignature(xml, {
    prefix: 'ds',
    location:
      name === 'Subject'
        ? { reference: xpath, action: 'append' }
        : { reference: `${xpath}/*[local-name(.)='Issuer']`, action: 'after' },
  });
  return signer.getSignedXml();
}

export const metadataOf = (
  keys: readonly Key[],
  options: {
    readonly entity?: string;
    readonly signInUrl?: string;
    readonly role?: string;
    readonly entityAttributes?: string;
  } = {},
): string => `<?xml version="1.0"?>
<!-- as providers write it -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="${options.entity ?? entityId}"${options.entityAttributes ?? ''}>
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"${options.role ?? ''}>
    ${keys
      .map(
        (key) =>
          `<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n${base64Of(key)}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
      )
      .join('')}
    <md:NameIDFormat>${persistent}</md:NameIDFormat>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${options.signInUrl ?? 'https://idp.example.com/sso'}"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>`;

export const expectedNow = (): Expected => ({
  issuer: entityId,
  audience,
  recipient: acs,
  requestId: '_request',
  requestedAtMs: Date.now() - 5000,
  nowMs: Date.now(),
  clockSkewMs: 60_000,
});

/** The whole message as a tree, changed, and written again. */
function changed(xml: string, change: (parts: Parts) => void): string {
  const document = new DOMParser().parseFromString(xml, 'text/xml');
  const [response] = [document.documentElement!];
  const assertion = document.getElementsByTagName('saml:Assertion')[0]!;
  const signature = document.getElementsByTagName('ds:Signature')[0]!;
  change({ document, response, assertion, signature });
  return new XMLSerializer().serializeToString(document);
}

interface Parts {
  readonly document: Document;
  readonly response: Element;
  readonly assertion: Element;
  readonly signature: Element;
}

const clone = (element: Element): Element => element.cloneNode(true) as Element;

/** An assertion of another person, under another ID. */
function evil(assertion: Element): Element {
  assertion.setAttribute('ID', '_evil');
  assertion.getElementsByTagName('saml:NameID')[0]!.textContent = 'root-0000';
  return assertion;
}

function withoutSignature(element: Element): Element {
  for (const child of Array.from(element.childNodes))
    if (child.nodeName === 'ds:Signature') element.removeChild(child);
  return element;
}

/**
 * Somorovsky et al., “On Breaking SAML: Be Whoever You Want to Be” (USENIX Security 2012), as tools name them.
 * @param ofResponse a response whose root is signed @param ofAssertion one whose assertion is
 */
export const wrappings = (ofResponse: string, ofAssertion: string): Record<string, string> => ({
  'XSW1: the signed response inside the signature of a forged one': changed(
    ofResponse,
    ({ response, assertion, signature }) => {
      const original = withoutSignature(clone(response));
      response.setAttribute('ID', '_evil-response');
      evil(assertion);
      signature.appendChild(original);
    },
  ),
  'XSW2: the signed response before the signature of a forged one': changed(
    ofResponse,
    ({ response, assertion, signature }) => {
      const original = withoutSignature(clone(response));
      response.setAttribute('ID', '_evil-response');
      evil(assertion);
      response.insertBefore(original, signature);
    },
  ),
  'XSW3: a forged assertion before the signed one': changed(ofAssertion, ({ response, assertion }) => {
    response.insertBefore(evil(withoutSignature(clone(assertion))), assertion);
  }),
  'XSW4: a forged assertion around the signed one': changed(ofAssertion, ({ response, assertion }) => {
    const forged = evil(withoutSignature(clone(assertion)));
    response.replaceChild(forged, assertion);
    forged.appendChild(assertion);
  }),
  'XSW5: the signature in a forged assertion, the signed one at the end': changed(
    ofAssertion,
    ({ response, assertion }) => {
      const original = withoutSignature(clone(assertion));
      evil(assertion);
      response.appendChild(original);
    },
  ),
  'XSW6: the signed assertion inside the signature of a forged one': changed(
    ofAssertion,
    ({ assertion, signature }) => {
      const original = withoutSignature(clone(assertion));
      evil(assertion);
      signature.appendChild(original);
    },
  ),
  'XSW7: a forged assertion in an extension': changed(ofAssertion, ({ document, response, assertion }) => {
    const extensions = document.createElementNS('urn:oasis:names:tc:SAML:2.0:protocol', 'samlp:Extensions');
    extensions.appendChild(evil(withoutSignature(clone(assertion))));
    response.insertBefore(extensions, assertion);
  }),
  'XSW8: the signed assertion in an Object of the signature of a forged one': changed(
    ofAssertion,
    ({ document, assertion, signature }) => {
      const original = withoutSignature(clone(assertion));
      evil(assertion);
      const object = document.createElementNS('http://www.w3.org/2000/09/xmldsig#', 'ds:Object');
      object.appendChild(original);
      signature.appendChild(object);
    },
  ),
});
