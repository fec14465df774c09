/**
 * What an assertion says, read from the very bytes that the signature covers, and every condition that the Web Browser SSO
 * profile (saml-profiles-2.0 §4.1.4.3) puts on it. node-saml has looked at most of them; nothing here relies on that.
 */
import {
  attributeOf,
  childrenOf,
  is,
  onlyChild,
  optionalChild,
  refuseOtherAttributes,
  refuseOthers,
  saml,
  textOf,
  timeOf,
} from './elements.ts';
import { Malformed, type XmlElement } from '../../../../system/xml.ts';

export interface Expected {
  /** Entity id of the identity provider. */
  readonly issuer: string;
  /** Ours. */
  readonly audience: string;
  readonly recipient: string;
  /** ID of the AuthnRequest. */
  readonly requestId: string;
  readonly requestedAtMs: number;
  readonly nowMs: number;
  readonly clockSkewMs: number;
}

export interface ReadAssertion {
  readonly id: string;
  readonly nameId: { readonly value: string; readonly format: string } | null;
  readonly authTimeMs: number;
  /** AuthnContextClassRef. */
  readonly acr: string | null;
  readonly session: string | null;
  /** SessionNotOnOrAfter; null when it sets none. */
  readonly sessionEndsAtMs: number | null;
  /** Until when the assertion could be used again, were it not remembered. */
  readonly usableUntilMs: number;
  /** By Name; a value that is no text is null. */
  readonly attributes: ReadonlyMap<string, readonly (string | null)[]>;
}

const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
const entityFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:entity';
const unspecified = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';
const schemaInstance = '{http://www.w3.org/2001/XMLSchema-instance}type';

/** @throws Malformed */
export function readAssertion(assertion: XmlElement, expected: Expected): ReadAssertion {
  if (!is(assertion, saml, 'Assertion')) throw new Malformed('what is signed is no assertion');
  refuseOthers(assertion, {
    attributes: ['ID', 'Version', 'IssueInstant'],
    children: ['Issuer', 'Signature', 'Subject', 'Conditions', 'AuthnStatement', 'AttributeStatement'],
  });
  if (attributeOf(assertion, 'Version') !== '2.0') throw new Malformed('its assertion is not of SAML 2.0');
  checkIssuer(onlyChild(assertion, saml, 'Issuer'), expected.issuer);
  const { clockSkewMs, nowMs } = expected;
  const issuedAtMs = timeOf(assertion, 'IssueInstant');
  if (issuedAtMs > nowMs + clockSkewMs) throw new Malformed('its assertion is from the future');
  if (issuedAtMs < expected.requestedAtMs - clockSkewMs)
    throw new Malformed('its assertion is older than the sign-in');
  const subject = onlyChild(assertion, saml, 'Subject');
  const confirmedUntilMs = checkConfirmation(subject, expected);
  const conditionsUntilMs = checkConditions(onlyChild(assertion, saml, 'Conditions'), expected);
  return {
    id: attributeOf(assertion, 'ID'),
    nameId: nameIdOf(subject, expected),
    ...authenticationOf(onlyChild(assertion, saml, 'AuthnStatement'), expected),
    usableUntilMs: Math.min(confirmedUntilMs, conditionsUntilMs) + clockSkewMs,
    attributes: attributesOf(assertion),
  };
}

export function checkIssuer(issuer: XmlElement, expected: string): void {
  const format = issuer.attributes.get('Format');
  if (textOf(issuer) !== expected || (format !== undefined && format !== entityFormat))
    throw new Malformed('it is of another identity provider');
}

/** @returns when the confirmation ends */
function checkConfirmation(subject: XmlElement, expected: Expected): number {
  refuseOthers(subject, { attributes: [], children: ['NameID', 'SubjectConfirmation'] });
  const confirmation = onlyChild(subject, saml, 'SubjectConfirmation');
  refuseOthers(confirmation, { attributes: ['Method'], children: ['SubjectConfirmationData'] });
  if (attributeOf(confirmation, 'Method') !== bearer)
    throw new Malformed('its assertion is not for a bearer');
  const data = onlyChild(confirmation, saml, 'SubjectConfirmationData');
  refuseOthers(data, {
    attributes: ['Recipient', 'InResponseTo', 'NotOnOrAfter', 'Address'],
    children: [],
  });
  if (attributeOf(data, 'Recipient') !== expected.recipient)
    throw new Malformed('its Recipient is not this relay');
  if (attributeOf(data, 'InResponseTo') !== expected.requestId)
    throw new Malformed('its assertion answers another request');
  return checkEnd(data, 'NotOnOrAfter', expected);
}

/** @returns when the conditions end */
function checkConditions(conditions: XmlElement, expected: Expected): number {
  refuseOthers(conditions, {
    attributes: ['NotBefore', 'NotOnOrAfter'],
    children: ['AudienceRestriction', 'OneTimeUse', 'ProxyRestriction'],
  });
  const { nowMs, clockSkewMs } = expected;
  if (conditions.attributes.has('NotBefore') && timeOf(conditions, 'NotBefore') > nowMs + clockSkewMs)
    throw new Malformed('its assertion is not valid yet');
  const restrictions = childrenOf(conditions).filter((child) => is(child, saml, 'AudienceRestriction'));
  if (restrictions.length === 0) throw new Malformed('it names no audience');
  for (const restriction of restrictions) {
    refuseOthers(restriction, { attributes: [], children: ['Audience'] });
    if (!childrenOf(restriction).some((audience) => textOf(audience) === expected.audience))
      throw new Malformed('its audience is not this relay');
  }
  return conditions.attributes.has('NotOnOrAfter')
    ? checkEnd(conditions, 'NotOnOrAfter', expected)
    : Infinity;
}

function checkEnd(element: XmlElement, name: string, { nowMs, clockSkewMs }: Expected): number {
  const endMs = timeOf(element, name);
  if (endMs + clockSkewMs <= nowMs) throw new Malformed('its assertion has expired');
  return endMs;
}

/** A name of another domain than the provider's own could be two people's. */
function nameIdOf(subject: XmlElement, expected: Expected): ReadAssertion['nameId'] {
  const nameId = optionalChild(subject, saml, 'NameID');
  if (nameId === null) return null;
  refuseOtherAttributes(nameId, ['Format', 'NameQualifier', 'SPNameQualifier']);
  if ((nameId.attributes.get('NameQualifier') ?? expected.issuer) !== expected.issuer)
    throw new Malformed('its NameID is of another NameQualifier');
  if ((nameId.attributes.get('SPNameQualifier') ?? expected.audience) !== expected.audience)
    throw new Malformed('its NameID is of another SPNameQualifier');
  return { value: textOf(nameId), format: nameId.attributes.get('Format') ?? unspecified };
}

function authenticationOf(
  statement: XmlElement,
  expected: Expected,
): Pick<ReadAssertion, 'authTimeMs' | 'acr' | 'session' | 'sessionEndsAtMs'> {
  refuseOthers(statement, {
    attributes: ['AuthnInstant', 'SessionIndex', 'SessionNotOnOrAfter'],
    children: ['SubjectLocality', 'AuthnContext'],
  });
  const authTimeMs = timeOf(statement, 'AuthnInstant');
  if (authTimeMs > expected.nowMs + expected.clockSkewMs)
    throw new Malformed('its AuthnInstant is in the future');
  const context = onlyChild(statement, saml, 'AuthnContext');
  const classRef = optionalChild(context, saml, 'AuthnContextClassRef');
  return {
    authTimeMs,
    acr: classRef === null ? null : shortText(textOf(classRef), 256, 'AuthnContextClassRef'),
    session: statement.attributes.get('SessionIndex') ?? null,
    sessionEndsAtMs: statement.attributes.has('SessionNotOnOrAfter')
      ? checkEnd(statement, 'SessionNotOnOrAfter', expected)
      : null,
  };
}

/** Several of one name are one: some providers write an Attribute a value. */
function attributesOf(assertion: XmlElement): ReadAssertion['attributes'] {
  const found = new Map<string, (string | null)[]>();
  const statements = childrenOf(assertion).filter((child) => is(child, saml, 'AttributeStatement'));
  for (const attribute of statements.flatMap(childrenOf)) {
    if (!is(attribute, saml, 'Attribute'))
      throw new Malformed('its AttributeStatement has an unexpected element');
    const name = attributeOf(attribute, 'Name');
    const values = found.get(name) ?? [];
    for (const value of childrenOf(attribute)) {
      if (!is(value, saml, 'AttributeValue')) throw new Malformed('an Attribute has an unexpected element');
      const plain = value.nodes.every((node) => typeof node === 'string');
      const known = [...value.attributes.keys()].every((key) => key === schemaInstance);
      values.push(plain && known ? textOf(value) : null);
    }
    found.set(name, values);
  }
  return found;
}

/** Not empty, no control characters, no blanks around it: a name that looks like another is none. */
export function shortText(text: string, maxLength: number, what: string): string {
  if (text === '' || text.length > maxLength || text !== text.trim() || /\p{Cc}|\p{Cf}/u.test(text))
    throw new Malformed(`its ${what} is empty, too long, or has characters that a name has not`);
  return text;
}
