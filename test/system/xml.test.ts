/** The reader of XML: what it takes means one thing, and the rest is refused. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { DOMParser } from '@xmldom/xmldom';
import fc from 'fast-check';
import { Malformed, parseXml, type XmlElement } from '../../src/system/xml.ts';

const parse = (text: string, comments: 'refused' | 'skipped' = 'refused'): XmlElement =>
  parseXml(text, { characters: 100_000, comments });

test('namespaces, attributes, texts and entities are read as XML says', () => {
  const root = parse(
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<a:x xmlns:a="urn:a" xmlns="urn:d" a:p='1&#10;2' p="a\tb"><y>&lt;&amp;&#x41;\r\n</y><z xmlns=""/></a:x >\n`,
  );
  assert.equal(root.namespace, 'urn:a');
  assert.deepEqual(
    [...root.attributes],
    [
      ['{urn:a}p', '1\n2'],
      ['p', 'a b'],
    ],
  );
  const [y, z] = root.nodes as XmlElement[];
  assert.deepEqual([y!.namespace, y!.nodes], ['urn:d', ['<&A\n']]);
  assert.equal(z!.namespace, '');
});

test('what could mean two things is refused', () => {
  for (const text of [
    '',
    'x',
    '<a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>x',
    '<a b="1" b="2"/>',
    '<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>',
    '<p:a/>',
    '<a xmlns:p=""/>',
    '<a xmlns:xml="urn:x"/>',
    '<a xmlns="http://www.w3.org/2000/xmlns/"/>',
    '<a b=1/>',
    '<a b="<"/>',
    '<a b="1"c="2"/>',
    '<a>&unknown;</a>',
    '<a>&</a>',
    '<a>&#x110000;</a>',
    '<a>&#xD800;</a>',
    '<a>]]></a>',
    '<a>\u0001</a>',
    '<!DOCTYPE a><a/>',
    '<a><![CDATA[x]]></a>',
    '<a><?x?></a>',
    '<?xml version="1.1"?><a/>',
    ' <?xml version="1.0"?><a/>',
    '\uFEFF<a/>',
    '<é/>',
  ])
    assert.throws(() => parse(text), Malformed, text);
  assert.throws(() => parse('<a><!-- x --></a>'), Malformed);
  assert.throws(() => parse('<a><!-- x -- y --></a>', 'skipped'), Malformed);
  assert.deepEqual(parse('<!-- 1 --><a>x<!-- 2 -->y</a><!-- 3 -->', 'skipped').nodes, ['xy']);
});

const name = fc.constantFrom('a', 'b', 'c-d', 'e.f');
const text = fc.string({ unit: fc.constantFrom('x', 'ü', '€', ' ', '&lt;', '&amp;', '&#65;', '"') });
const tree = fc.letrec<{ element: string }>((tie) => ({
  element: fc
    .tuple(name, fc.option(text), fc.array(fc.oneof({ maxDepth: 4 }, text, tie('element')), { maxLength: 4 }))
    .map(([tag, value, inner]) => {
      const attribute = value === null ? '' : ` k="${value.replaceAll('"', '&quot;')}"`;
      return `<${tag}${attribute}>${inner.join('')}</${tag}>`;
    }),
})).element;

/** Names, attributes and texts, as far as both readers tell them. */
const flat = (element: XmlElement): unknown[] => [
  element.name,
  ...element.attributes.values(),
  ...element.nodes
    .filter((node) => node !== '')
    .map((node) => (typeof node === 'string' ? node : flat(node))),
];
function flatDom(element: Element): unknown[] {
  element.normalize();
  const inner = Array.from(element.childNodes).map((node) =>
    node.nodeType === 1 ? flatDom(node as Element) : node.nodeValue,
  );
  return [element.localName, ...Array.from(element.attributes).map(({ value }) => value), ...inner];
}

test('it reads what the signature library reads', () => {
  fc.assert(
    fc.property(tree, (document) => {
      const dom = new DOMParser().parseFromString(document, 'text/xml').documentElement!;
      assert.deepEqual(flat(parse(document)), flatDom(dom));
    }),
  );
});

test('hostile text is refused or read, and nothing else happens', () => {
  const part = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    ' ',
    '=',
    '"',
    "'",
    '&',
    ';',
    '#',
    '!',
    '-',
    '[',
    ':',
    'xmlns',
    '?',
    '\n',
  );
  fc.assert(
    fc.property(fc.string({ unit: part, maxLength: 60 }), (document) => {
      try {
        parse(document, 'skipped');
      } catch (error) {
        assert.ok(error instanceof Malformed);
      }
    }),
    { numRuns: 3000 },
  );
});
