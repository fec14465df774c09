/** Reading a tree of XML by what must stand there; anything else is an error that names the element, never a value. */
import { Malformed, type XmlElement } from '../../../../system/xml.ts';

export const saml = 'urn:oasis:names:tc:SAML:2.0:assertion';
export const samlp = 'urn:oasis:names:tc:SAML:2.0:protocol';
export const md = 'urn:oasis:names:tc:SAML:2.0:metadata';
export const ds = 'http://www.w3.org/2000/09/xmldsig#';
export const exclusiveC14n = 'http://www.w3.org/2001/10/xml-exc-c14n#';

export const is = (element: XmlElement, namespace: string, name: string): boolean =>
  element.namespace === namespace && element.name === name;

/** The elements in it, in order; between them nothing but blanks. @throws Malformed */
export function childrenOf(element: XmlElement): XmlElement[] {
  return element.nodes.filter((node): node is XmlElement => {
    if (typeof node !== 'string') return true;
    if (/[^ \t\n]/.test(node)) throw refused(`text stands in ${element.name}`);
    return false;
  });
}

/** Its text; no element stands in it. @throws Malformed */
export function textOf(element: XmlElement): string {
  return element.nodes
    .map((node) => {
      if (typeof node !== 'string') throw refused(`an element stands in the text of ${element.name}`);
      return node;
    })
    .join('');
}

/** @throws Malformed when there is none, or more than one */
export function onlyChild(element: XmlElement, namespace: string, name: string): XmlElement {
  const [found, more] = childrenOf(element).filter((child) => is(child, namespace, name));
  if (found === undefined) throw refused(`${element.name} has no ${name}`);
  if (more !== undefined) throw refused(`${element.name} has more than one ${name}`);
  return found;
}

export const optionalChild = (element: XmlElement, namespace: string, name: string): XmlElement | null =>
  childrenOf(element).some((child) => is(child, namespace, name))
    ? onlyChild(element, namespace, name)
    : null;

/** @throws Malformed */
export function attributeOf(element: XmlElement, name: string): string {
  const value = element.attributes.get(name);
  if (value === undefined) throw refused(`${element.name} has no ${name}`);
  return value;
}

interface Allowed {
  readonly attributes: readonly string[];
  /** Names in the namespace of the element itself; `Signature` is that of XML Signature. */
  readonly children: readonly string[];
  /** Of other namespaces. */
  readonly also?: readonly (readonly [namespace: string, name: string])[];
}

/** @throws Malformed */
export function refuseOtherAttributes(element: XmlElement, allowed: readonly string[]): void {
  for (const name of element.attributes.keys())
    if (!allowed.includes(name)) throw refused(`${element.name} has an unexpected attribute`);
}

/** @throws Malformed when it has other attributes or children, or text */
export function refuseOthers(element: XmlElement, { attributes, children, also = [] }: Allowed): void {
  refuseOtherAttributes(element, attributes);
  const expected = (child: XmlElement): boolean =>
    is(child, child.name === 'Signature' ? ds : element.namespace, child.name)
      ? children.includes(child.name)
      : also.some(([namespace, name]) => is(child, namespace, name));
  for (const child of childrenOf(element))
    if (!expected(child)) throw refused(`${element.name} has an unexpected element`);
}

/** The element and all below it. */
export function* descendants(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const node of element.nodes) if (typeof node !== 'string') yield* descendants(node);
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** SAML core §1.3.3: UTC, with `Z`. @returns milliseconds since the epoch @throws Malformed */
export function timeOf(element: XmlElement, name: string): number {
  const ms = Date.parse(attributeOf(element, name).replace(/(\.\d{3})\d+Z$/, '$1Z'));
  if (!instant.test(attributeOf(element, name)) || Number.isNaN(ms))
    throw refused(`${name} of ${element.name} is no time in UTC`);
  return ms;
}

const refused = (why: string): Malformed => new Malformed(why);
