/**
 * The shape of a Response before anything of it is believed (SAML core §3.3.3, profile Web Browser SSO §4.1): one
 * Assertion in its one place, signatures where they belong and of the kind that SAML asks for (core §5.4: enveloped, one
 * reference to its parent, exclusive canonicalization), every ID once. What could make two readers see two
 * documents (signature wrapping, comments, other namespaces) has no room in this shape.
 */
import { hash } from 'node:crypto';
import {
  attributeOf,
  childrenOf,
  descendants,
  ds,
  exclusiveC14n,
  is,
  onlyChild,
  optionalChild,
  refuseOthers,
  saml,
  samlp,
  textOf,
} from './elements.ts';
import { Malformed, type XmlElement } from '../../../../system/xml.ts';

export interface ResponseShape {
  readonly inResponseTo: string;
  readonly destination: string | null;
  readonly issuer: string | null;
  /** `Success`, or the last words of the status codes, outermost first; a word is letters alone. */
  readonly status: readonly string[];
  /** Null when the status is no success. */
  readonly assertion: {
    readonly id: string;
    readonly issuer: string;
    readonly signed: boolean;
  } | null;
  readonly responseSigned: boolean;
  /** SHA-256 of the certificates that the signatures name, hex: only a reason to read the metadata again. */
  readonly namedCertificates: readonly string[];
}

const signatureMethods = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
]);
const digestMethods = new Set([
  'http://www.w3.org/2001/04/xmlenc#sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512',
]);
const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';
/** Elements that may stand only where the shape says, in whatever namespace. */
const placed = new Set([
  'Response',
  'Assertion',
  'EncryptedAssertion',
  'Signature',
  'SignedInfo',
  'Object',
  'Manifest',
]);

/** @throws Malformed */
export function shapeOf(response: XmlElement): ResponseShape {
  if (!is(response, samlp, 'Response')) throw new Malformed('it is no Response');
  refuseTwice(response);
  for (const child of childrenOf(response))
    if (child.name === 'EncryptedAssertion')
      throw new Malformed(
        'its assertion is encrypted: let the provider sign, and not encrypt, what it sends here',
      );
  refuseOthers(response, {
    attributes: ['ID', 'Version', 'IssueInstant', 'Destination', 'Consent', 'InResponseTo'],
    children: ['Signature', 'Status'],
    also: [
      [saml, 'Issuer'],
      [saml, 'Assertion'],
    ],
  });
  if (attributeOf(response, 'Version') !== '2.0') throw new Malformed('it is not of SAML 2.0');
  const issuer = optionalChild(response, saml, 'Issuer');
  const status = statusOf(onlyChild(response, samlp, 'Status'));
  const success = status.length === 1 && status[0] === 'Success';
  const assertion = success ? onlyChild(response, saml, 'Assertion') : null;
  if (assertion === null && optionalChild(response, saml, 'Assertion') !== null)
    throw new Malformed('it has an assertion and no success');
  const signatures = [response, ...(assertion === null ? [] : [assertion])].flatMap((signed) => {
    const signature = optionalChild(signed, ds, 'Signature');
    return signature === null ? [] : [{ signed, signature }];
  });
  refuseElsewhere(response, [response, assertion, ...signatures.map(({ signature }) => signature)]);
  const named = signatures.flatMap(({ signed, signature }) =>
    signatureShape(signature, attributeOf(signed, 'ID')),
  );
  const has = (element: XmlElement) => signatures.some(({ signed }) => signed === element);
  return {
    inResponseTo: attributeOf(response, 'InResponseTo'),
    destination: response.attributes.get('Destination') ?? null,
    issuer: issuer === null ? null : textOf(issuer),
    status,
    assertion: assertion && {
      id: attributeOf(assertion, 'ID'),
      issuer: textOf(onlyChild(assertion, saml, 'Issuer')),
      signed: has(assertion),
    },
    responseSigned: has(response),
    namedCertificates: named,
  };
}

function statusOf(status: XmlElement): string[] {
  refuseOthers(status, { attributes: [], children: ['StatusCode', 'StatusMessage', 'StatusDetail'] });
  const words: string[] = [];
  let code: XmlElement | null = onlyChild(status, samlp, 'StatusCode');
  for (; code !== null && words.length < 3; code = optionalChild(code, samlp, 'StatusCode'))
    words.push(
      /^urn:oasis:names:tc:SAML:2\.0:status:([A-Za-z]{1,40})$/.exec(attributeOf(code, 'Value'))?.[1] ??
        'Other',
    );
  return words;
}

/** Whatever a reader may take for an ID, in whatever case, names one element. */
function refuseTwice(root: XmlElement): void {
  const seen = new Set<string>();
  for (const element of descendants(root)) {
    const ids = [...element.attributes].filter(([name]) => /^(\{[^}]*\})?id$/i.test(name));
    if (ids.length > 1) throw new Malformed('an element has two IDs');
    for (const [, id] of ids) {
      if (!/^[A-Za-z_][\w.-]{0,255}$/.test(id)) throw new Malformed('an ID is malformed');
      if (seen.has(id)) throw new Malformed('an ID stands twice');
      seen.add(id);
    }
  }
}

/** @param expected those that stand in their place, and the signatures, whose children are looked at by themselves */
function refuseElsewhere(root: XmlElement, expected: readonly (XmlElement | null)[]): void {
  const allowed = new Set(
    expected.flatMap((element) => {
      if (element === null) return [];
      return element.name === 'Signature' ? [element, ...childrenOf(element)] : [element];
    }),
  );
  for (const element of descendants(root))
    if (placed.has(element.name) && !allowed.has(element))
      throw new Malformed(`${element.name} stands where it may not`);
}

/** @returns SHA-256 of the certificates that it names, hex */
function signatureShape(signature: XmlElement, parentId: string): string[] {
  refuseOthers(signature, { attributes: ['Id'], children: ['SignedInfo', 'SignatureValue', 'KeyInfo'] });
  const info = onlyChild(signature, ds, 'SignedInfo');
  refuseOthers(info, {
    attributes: ['Id'],
    children: ['CanonicalizationMethod', 'SignatureMethod', 'Reference'],
  });
  const canonical = onlyChild(info, ds, 'CanonicalizationMethod');
  if (algorithmOf(canonical) !== exclusiveC14n)
    throw new Malformed('a signature is not by exclusive canonicalization');
  refusePrefixes(canonical);
  const method = onlyChild(info, ds, 'SignatureMethod');
  refuseOthers(method, { attributes: ['Algorithm'], children: [] });
  if (!signatureMethods.has(algorithmOf(method)))
    throw new Malformed('a signature is not by RSA with SHA-256 or SHA-512');
  const reference = onlyChild(info, ds, 'Reference');
  refuseOthers(reference, {
    attributes: ['Id', 'URI', 'Type'],
    children: ['Transforms', 'DigestMethod', 'DigestValue'],
  });
  if (attributeOf(reference, 'URI') !== `#${parentId}`)
    throw new Malformed('a signature is not over where it stands');
  transformShape(onlyChild(reference, ds, 'Transforms'));
  const digest = onlyChild(reference, ds, 'DigestMethod');
  refuseOthers(digest, { attributes: ['Algorithm'], children: [] });
  if (!digestMethods.has(algorithmOf(digest))) throw new Malformed('a digest is not SHA-256 or SHA-512');
  textOf(onlyChild(reference, ds, 'DigestValue'));
  textOf(onlyChild(signature, ds, 'SignatureValue'));
  return certificatesOf(signature);
}

function transformShape(transforms: XmlElement): void {
  refuseOthers(transforms, { attributes: [], children: ['Transform'] });
  const [first, second, ...more] = childrenOf(transforms);
  if (first === undefined || second === undefined || more.length > 0)
    throw new Malformed('a signature has other transforms than the two of SAML');
  if (
    algorithmOf(first) !== enveloped ||
    algorithmOf(second) !== exclusiveC14n ||
    childrenOf(first).length > 0
  )
    throw new Malformed('a signature has other transforms than the two of SAML');
  refusePrefixes(second);
}

/** Of exclusive canonicalization: nothing but a list of prefixes. */
function refusePrefixes(method: XmlElement): void {
  refuseOthers(method, {
    attributes: ['Algorithm'],
    children: [],
    also: [[exclusiveC14n, 'InclusiveNamespaces']],
  });
  const prefixes = optionalChild(method, exclusiveC14n, 'InclusiveNamespaces');
  if (prefixes !== null) refuseOthers(prefixes, { attributes: ['PrefixList'], children: [] });
}

function certificatesOf(signature: XmlElement): string[] {
  return [...descendants(signature)]
    .filter((element) => is(element, ds, 'X509Certificate'))
    .slice(0, 4)
    .map((element) => hash('sha256', Buffer.from(textOf(element), 'base64'), 'hex'));
}

const algorithmOf = (element: XmlElement): string => attributeOf(element, 'Algorithm');
