/** Who an assertion speaks of: subject, e-mail, groups, by the names that the configuration gives. */
import { areRecordable } from '../../../../identity/groups.ts';
import { shortText, type ReadAssertion } from './assertion.ts';
import { Malformed } from '../../../../system/xml.ts';

/** Names of Attributes; null: the provider tells none. */
export interface SamlAttributes {
  readonly email: string | null;
  readonly groups: string | null;
  /** Null: the NameID. */
  readonly subject: string | null;
}

const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';
const encrypted = 'urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted';
const maxGroups = 2000;

/** @throws Malformed */
export function personOf(
  assertion: ReadAssertion,
  names: SamlAttributes,
): { subject: string; email: string | null; groups: string[] } {
  const emails = names.email === null ? [] : textsOf(assertion, names.email);
  const groups = names.groups === null ? [] : textsOf(assertion, names.groups);
  if (groups.length > maxGroups) throw new Malformed(`it names more than ${maxGroups} groups`);
  if (!areRecordable(groups)) throw new Malformed('its groups are too many to be recorded');
  return {
    subject: subjectOf(assertion, names.subject),
    // Of several none is the person's own for sure.
    email: emails.length === 1 ? shortText(emails[0]!, 320, 'e-mail') : null,
    groups: [...new Set(groups.map((group) => shortText(group, 256, 'groups')))],
  };
}

function subjectOf(assertion: ReadAssertion, attribute: string | null): string {
  if (attribute !== null) {
    const [value, ...others] = textsOf(assertion, attribute);
    if (value === undefined || others.length > 0) throw new Malformed('it has not one value for the subject');
    return shortText(value, 255, 'subject');
  }
  const { nameId } = assertion;
  if (nameId === null) throw new Malformed('it has no NameID');
  if (nameId.format === transient || nameId.format === encrypted)
    throw new Malformed(
      'its NameID is another at each sign-in: the operator sets identity.upstream.attributes.subject',
    );
  return shortText(nameId.value, 255, 'NameID');
}

function textsOf({ attributes }: ReadAssertion, name: string): string[] {
  return (attributes.get(name) ?? []).map((value) => {
    if (value === null) throw new Malformed('a value of an Attribute is no text');
    return value;
  });
}
