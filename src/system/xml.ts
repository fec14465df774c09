/**
 * A reader of XML for messages that decide who somebody is. It takes less than XML 1.0 allows: no document type, no
 * entities but the five, no processing instructions, no CDATA, no comments (unless skipped, for metadata), ASCII names.
 * What is left has one meaning in every parser, so what is checked here is what the signature library sees.
 *
 * Namespaces in XML 1.0 (https://www.w3.org/TR/xml-names/). Limits hold before anything grows.
 */
export interface XmlElement {
  readonly namespace: string;
  readonly name: string;
  /** By local name; those of a namespace as `{namespace}name`. Declarations of namespaces are not among them. */
  readonly attributes: ReadonlyMap<string, string>;
  /** In document order; neighbouring texts are one. */
  readonly nodes: readonly (XmlElement | string)[];
}

export interface XmlLimits {
  readonly characters: number;
  /** Skipped: `comments` of a document that is trusted as it is. */
  readonly comments: 'refused' | 'skipped';
}

const maxDepth = 32;
const maxElements = 20_000;
const maxAttributes = 32;

const xmlNamespace = 'http://www.w3.org/XML/1998/namespace';
const declaration =
  /^<\?xml\s+version\s*=\s*["']1\.0["'](\s+encoding\s*=\s*["']utf-8["'])?(\s+standalone\s*=\s*["'](yes|no)["'])?\s*\?>/i;
const qualifiedName = /(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)/y;
const attributeValue = /\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const blank = /[ \t\n]*/y;
/** What may not stand in XML 1.0 at all. */
// oxlint-disable-next-line no-control-regex
const forbidden = /[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]|\p{Surrogate}/u;

/** What is wrong with a document, as half a sentence without any of its content; `documents.ts` tells which document. */
export class Malformed extends Error {}

/**
 * @param text untrusted
 * @throws Malformed
 */
export function parseXml(text: string, limits: XmlLimits): XmlElement {
  if (text.length > limits.characters) throw invalid('it is too large');
  if (forbidden.test(text)) throw invalid('it has a character that XML does not allow');
  return new Reader(text.replaceAll(/\r\n?/g, '\n'), limits).document();
}

interface Open {
  readonly qualified: string;
  readonly element: XmlElement & { readonly nodes: (XmlElement | string)[] };
  readonly namespaces: ReadonlyMap<string, string>;
}

class Reader {
  readonly #text: string;
  readonly #comments: XmlLimits['comments'];
  #at = 0;
  #elements = 0;

  constructor(text: string, { comments }: XmlLimits) {
    this.#text = text;
    this.#comments = comments;
  }

  document(): XmlElement {
    this.#at = declaration.exec(this.#text)?.[0].length ?? 0;
    this.#misc();
    const root = this.#tree();
    this.#misc();
    if (this.#at !== this.#text.length) throw invalid('something follows its root element');
    return root;
  }

  /** Blanks, and comments where they are skipped, outside the root. */
  #misc(): void {
    do this.#match(blank);
    while (this.#skipComment());
  }

  /** The element that begins here, without recursion: depth is a limit of ours, not of the stack. */
  #tree(): XmlElement {
    const open: Open[] = [];
    for (;;) {
      const parent = open.at(-1);
      if (this.#skipComment()) continue;
      if (this.#text.startsWith('</', this.#at)) {
        if (parent === undefined) throw invalid('an end tag ends nothing');
        this.#endTag(parent.qualified);
        open.pop();
        if (open.length === 0) return parent.element;
      } else if (this.#text[this.#at] === '<') {
        const { opened, empty } = this.#startTag(parent?.namespaces ?? new Map([['xml', xmlNamespace]]));
        parent?.element.nodes.push(opened.element);
        if (empty && parent === undefined) return opened.element;
        if (!empty) open.push(opened);
        if (open.length > maxDepth) throw invalid('it is nested too deeply');
      } else this.#characters(parent);
    }
  }

  #startTag(outer: ReadonlyMap<string, string>): { opened: Open; empty: boolean } {
    if (++this.#elements > maxElements) throw invalid('it has too many elements');
    this.#at += 1;
    const [qualified = '', prefix = '', name = ''] = this.#expect(qualifiedName);
    const raw = this.#attributes();
    const namespaces = declared(outer, raw);
    const empty = this.#text.startsWith('/>', this.#at);
    if (!empty && this.#text[this.#at] !== '>') throw invalid('a tag is malformed');
    this.#at += empty ? 2 : 1;
    const attributes = new Map<string, string>();
    for (const attribute of raw) {
      if (attribute.prefix === 'xmlns' || attribute.qualified === 'xmlns') continue;
      const key =
        attribute.prefix === ''
          ? attribute.name
          : `{${resolve(namespaces, attribute.prefix)}}${attribute.name}`;
      if (attributes.has(key)) throw invalid('an attribute stands twice');
      attributes.set(key, attribute.value);
    }
    const namespace = prefix === '' ? (namespaces.get('') ?? '') : resolve(namespaces, prefix);
    return { opened: { qualified, namespaces, element: { namespace, name, attributes, nodes: [] } }, empty };
  }

  #attributes(): RawAttribute[] {
    const found: RawAttribute[] = [];
    for (;;) {
      const before = this.#at;
      this.#match(blank);
      if (this.#text[this.#at] === '>' || this.#text.startsWith('/>', this.#at)) return found;
      if (this.#at === before) throw invalid('a tag is malformed');
      const [qualified = '', prefix = '', name = ''] = this.#expect(qualifiedName);
      const [, double, single] = this.#expect(attributeValue);
      if (found.some((other) => other.qualified === qualified)) throw invalid('an attribute stands twice');
      if (found.length === maxAttributes) throw invalid('an element has too many attributes');
      // XML 1.0 §3.3.3; a character reference keeps its blank.
      const value = decode((double ?? single ?? '').replaceAll(/[\t\n]/g, ' '));
      found.push({ qualified, prefix, name, value });
    }
  }

  #endTag(qualified: string): void {
    this.#at += 2;
    const [name] = this.#expect(qualifiedName);
    this.#match(blank);
    if (name !== qualified || this.#text[this.#at] !== '>') throw invalid('an end tag ends nothing');
    this.#at += 1;
  }

  #characters(parent: Open | undefined): void {
    const end = this.#text.indexOf('<', this.#at);
    if (parent === undefined || end === -1) throw invalid('it has no root element that ends');
    const raw = this.#text.slice(this.#at, end);
    if (raw.includes(']]>')) throw invalid('its text is malformed');
    this.#at = end;
    const { nodes } = parent.element;
    const last = nodes.at(-1);
    if (typeof last === 'string') nodes[nodes.length - 1] = last + decode(raw);
    else nodes.push(decode(raw));
  }

  #skipComment(): boolean {
    if (this.#text[this.#at] !== '<') return false;
    if (this.#text[this.#at + 1] === '?') throw invalid('it has a processing instruction');
    if (this.#text[this.#at + 1] !== '!') return false;
    if (!this.#text.startsWith('<!--', this.#at))
      throw invalid('it has a document type or a section of another kind');
    if (this.#comments === 'refused') throw invalid('it has a comment');
    const end = this.#text.indexOf('--', this.#at + 4);
    if (end === -1 || this.#text[end + 2] !== '>') throw invalid('a comment does not end');
    this.#at = end + 3;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #expect(pattern: RegExp): RegExpExecArray {
    const found = this.#match(pattern);
    if (found === null) throw invalid('a tag is malformed');
    return found;
  }
}

interface RawAttribute {
  readonly qualified: string;
  readonly prefix: string;
  readonly name: string;
  readonly value: string;
}

function declared(
  outer: ReadonlyMap<string, string>,
  attributes: readonly RawAttribute[],
): ReadonlyMap<string, string> {
  const own = attributes.filter(({ prefix, qualified }) => prefix === 'xmlns' || qualified === 'xmlns');
  if (own.length === 0) return outer;
  const namespaces = new Map(outer);
  for (const { prefix, name, value } of own) {
    const declares = prefix === '' ? '' : name;
    if (/^xml/i.test(declares) || value === xmlNamespace || value === 'http://www.w3.org/2000/xmlns/')
      throw invalid('it declares a reserved namespace');
    if (declares !== '' && value === '') throw invalid('a namespace has no name');
    namespaces.set(declares, value);
  }
  return namespaces;
}

function resolve(namespaces: ReadonlyMap<string, string>, prefix: string): string {
  const namespace = namespaces.get(prefix);
  if (namespace === undefined) throw invalid('a prefix stands for no namespace');
  return namespace;
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&([^;&]{0,12};)?/g, (_, body: string | undefined) => {
    const name = body?.slice(0, -1) ?? '';
    if (Object.hasOwn(entities, name)) return entities[name]!;
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    if (digits === null) throw invalid('it has an entity that is not one of the five');
    const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16);
    const character = code <= 0x10_ff_ff ? String.fromCodePoint(code) : '\0';
    if (forbidden.test(character)) throw invalid('it has a character that XML does not allow');
    return character;
  });
}

const invalid = (why: string): Malformed => new Malformed(why);
