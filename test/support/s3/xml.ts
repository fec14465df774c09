/** The little XML that S3 speaks: elements and text. Attributes are read over, and anything else is malformed. */

export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What S3 escapes, carriage returns included: a reader would turn them into line feeds. */
function escape(text: string): string {
  return text
    .replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
    .replace(/[^\P{Cc}\n\t]/gu, (sign) => `&#x${sign.charCodeAt(0).toString(16).toUpperCase()};`);
}

export function element(
  name: string,
  content: string | number | boolean | readonly (Markup | null)[],
  attributes = '',
): Markup {
  const inside = Array.isArray(content)
    ? content.map((child) => child?.text ?? '').join('')
    : escape(String(content));
  return new Markup(`<${name}${attributes}>${inside}</${name}>`);
}

export const namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export const xml = (root: Markup): string => `<?xml version="1.0" encoding="UTF-8"?>\n${root.text}`;

export interface XmlElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

const entities = new Map(Object.entries({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }));

function unescape(text: string): string | null {
  let whole = true;
  const read = text.replace(/&(#x[\da-f]+|#\d+|\w+)?;?/gi, (_, name: string | undefined) => {
    if (name?.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name?.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    const sign = entities.get(name ?? '');
    whole &&= sign !== undefined;
    return sign ?? '';
  });
  return whole ? read : null;
}

/** The root, or null when it is malformed. */
export function parseXml(source: string): XmlElement | null {
  const document: XmlElement = { name: '', text: '', children: [] };
  const open = [document];
  const token = /<\?xml[^>]*\?>|<(\/?)([A-Za-z]\w*)(?:\s[^<>]*?)?(\/?)>|([^<]+)/y;
  while (token.lastIndex < source.length) {
    const match = token.exec(source);
    const inside = open.at(-1);
    if (match === null || inside === undefined) return null;
    const [, closing, name, empty, text] = match;
    if (text !== undefined) {
      const read = unescape(text);
      if (read === null) return null;
      inside.text += read;
    } else if (closing === '/') {
      if (open.length < 2 || open.pop()?.name !== name) return null;
    } else if (name !== undefined) {
      const child: XmlElement = { name, text: '', children: [] };
      inside.children.push(child);
      if (empty === '') open.push(child);
    }
  }
  const [root, ...others] = document.children;
  const alone = open.length === 1 && others.length === 0 && document.text.trim() === '';
  return alone ? (root ?? null) : null;
}

/** Text of the only child of that name; null when there is none. */
export function childText(parent: XmlElement, name: string): string | null {
  return parent.children.find((child) => child.name === name)?.text.trim() ?? null;
}
