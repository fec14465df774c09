/** Rules: whom and what they concern, what stands in place of a value, and that it stays valid for its kind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Masking, ValueKind } from '../../src/gate/masking.ts';
import { compileConfig, compileMasking } from '../../src/masking/masking.ts';
import type { MaskingConfig, MaskingRule, MaskingScope } from '../../src/masking/masking.ts';

const rule = (changes: Partial<MaskingRule>): MaskingRule => ({
  name: 'r',
  targets: [],
  targetGroups: [],
  detect: [],
  columns: [],
  outputs: [],
  mode: 'redact',
  value: null,
  exemptGroups: [],
  ...changes,
});
const scope = (changes: Partial<MaskingScope> = {}): MaskingScope => ({
  target: { name: 'db', groups: ['prod'] },
  groups: ['engineering'],
  hashKey: Buffer.alloc(32, 7),
  ...changes,
});

function compiled(config: Partial<MaskingConfig>) {
  const made = compileConfig({ detectors: [], rules: [], exemptColumns: [], ...config });
  if (!('custom' in made)) assert.fail(JSON.stringify(made));
  return made;
}

function session(config: Partial<MaskingConfig>, where: Partial<MaskingScope> = {}): Masking {
  const { masking } = compileMasking(compiled(config), scope(where));
  assert.ok(masking);
  return masking;
}

/** A text with its findings masked. */
function masked(masking: Masking, text: string, kind: ValueKind = 'text'): string {
  const bytes = Buffer.from(text);
  const findings = masking.scan(bytes, 0, bytes.length);
  const parts: (Buffer | string)[] = [];
  let from = 0;
  for (let index = 0; index < findings.length; index++) {
    const [start, end] = [findings.starts[index]!, findings.ends[index]!];
    const instead = masking.mask(findings.rules[index]!, bytes, start, end, kind);
    parts.push(bytes.subarray(from, start), instead ?? bytes.subarray(start, end));
    from = end;
  }
  return [...parts, bytes.subarray(from)].join('');
}

/** One whole value masked by the first entry of a rule. */
function replaced(
  mode: MaskingRule['mode'],
  value: string,
  kind: ValueKind,
  fixed: string | null = null,
): string {
  const masking = session({ rules: [rule({ outputs: ['x'], mode, value: fixed })] });
  const index = masking.columnRule({ name: 'x', origin: null });
  const bytes = Buffer.from(value, kind === 'opaque' ? 'latin1' : 'utf8');
  const instead = masking.mask(index, bytes, 0, bytes.length, kind);
  return (instead ?? bytes).toString(kind === 'opaque' ? 'latin1' : 'utf8');
}

test('redact and partial keep the length, whatever stands there', () => {
  assert.equal(replaced('redact', 'ana@example.com', 'text'), '***************');
  assert.equal(replaced('partial', '4111 1111 1111 1234', 'text'), '***************1234');
  assert.equal(replaced('partial', 'short', 'text'), '*****');
  assert.equal(
    replaced('partial', 'Müllerstraßé', 'text'),
    `${'*'.repeat(Buffer.byteLength('Müllerst'))}raßé`,
  );
  assert.equal(replaced('redact', 'ab\u0001', 'opaque'), '\0\0\0');
  assert.equal(replaced('partial', 'abcdefghijk', 'opaque'), '\0'.repeat(11));
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.constantFrom('redact', 'partial'),
      fc.constantFrom<ValueKind>('text', 'digits', 'hex', 'opaque'),
      (value, mode, kind) => {
        const masking = session({ rules: [rule({ outputs: ['x'], mode: mode as MaskingRule['mode'] })] });
        const bytes = Buffer.from(value);
        const length = bytes.length;
        assert.equal(masking.mask(0, bytes, 0, length, kind), null);
        assert.equal(bytes.length, length);
        assert.equal(Buffer.from(bytes.toString()).compare(bytes), 0, 'still UTF-8');
      },
    ),
  );
});

test('a number stays a number, in a column of its type and in JSON, and is another', () => {
  assert.equal(replaced('redact', '4111111111111111', 'digits'), '1000000000000000');
  assert.equal(replaced('partial', '4111111111111234', 'digits'), '1000000000001234');
  assert.equal(replaced('redact', '-52.75', 'digits'), '-10.00');
  assert.equal(replaced('redact', '7', 'digits'), '0');
  assert.equal(replaced('redact', '2147483647', 'digits'), '1000000000');
  assert.equal(replaced('fixed', '52', 'digits', 'masked'), '10');
  const numbers = fc.oneof(
    fc.integer().map(String),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(
      numbers,
      fc.constantFrom<MaskingRule['mode']>('redact', 'partial', 'hash', 'fixed'),
      (value, mode) => {
        const result = replaced(mode, value, 'digits');
        assert.equal(result.length, value.length);
        const number = JSON.parse(result) as number;
        assert.ok(Number.isFinite(number), `${value} → ${result}`);
        if (/^-?\d+$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) {
          const wide = BigInt(result);
          const bits = BigInt.asIntN(32, BigInt(value)) === BigInt(value) ? 32 : 64;
          assert.equal(BigInt.asIntN(bits, wide), wide, 'fits where the original did');
        }
      },
    ),
  );
});

test('hex keeps what is not hex, and text between fixed signs stays', () => {
  const uuid = '550e8400-e29b-41d4-a716-446655440000';
  assert.equal(replaced('redact', uuid, 'hex'), '00000000-0000-0000-0000-000000000000');
  assert.match(replaced('hash', uuid, 'hex'), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.notEqual(replaced('hash', uuid, 'hex'), uuid);
});

test('hash: equal values alike, others different, by the key, of one length', () => {
  const [one, again, other] = ['ana@example.com', 'ana@example.com', 'bob@example.com'].map((value) =>
    replaced('hash', value, 'text'),
  );
  assert.equal(one, again);
  assert.notEqual(one, other);
  assert.match(one!, /^[a-z2-7]{26}$/);
  const keyed = session(
    { rules: [rule({ detect: ['email'], mode: 'hash' })] },
    { hashKey: Buffer.alloc(32, 8) },
  );
  assert.notEqual(masked(keyed, 'ana@example.com'), one);
  assert.equal(replaced('hash', '4111111111111111', 'digits').length, 16);
  assert.notEqual(
    replaced('hash', '4111111111111111', 'digits'),
    replaced('hash', '4111111111111112', 'digits'),
  );
  assert.equal(replaced('hash', 'ab', 'opaque'), '\0\0');
});

test('fixed and null stand instead; only redact and partial promise the length', () => {
  assert.equal(replaced('fixed', 'ana@example.com', 'text', 'hidden'), 'hidden');
  assert.equal(replaced('fixed', 'ana@example.com', 'text'), 'masked');
  assert.equal(replaced('null', 'x', 'text'), 'null');
  const modes = ['redact', 'partial', 'fixed', 'hash', 'null'] as const;
  const masking = session({ rules: modes.map((mode) => rule({ name: mode, outputs: [mode], mode })) });
  const keeps = modes.map((mode) => masking.keepsLength(masking.columnRule({ name: mode, origin: null })));
  assert.deepEqual(keeps, [true, true, false, false, false]);
});

test('redact masks in place whatever the mode', () => {
  const masking = session({ rules: [rule({ detect: ['email'], mode: 'null' })] });
  const bytes = Buffer.from('to ana@example.com.');
  masking.redact(bytes, 3, 18, 'text');
  assert.equal(bytes.toString(), 'to ***************.');
});

test('a rule concerns its targets and groups of targets; without either, all', () => {
  const rules = [
    rule({ name: 'by-name', targets: ['db'], detect: ['email'] }),
    rule({ name: 'by-group', targetGroups: ['prod'], detect: ['card'] }),
    rule({ name: 'other', targets: ['db2'], detect: ['phone'] }),
  ];
  const text = 'ana@example.com 4111111111111111 +14155550123';
  assert.equal(masked(session({ rules }), text), `${'*'.repeat(15)} ${'*'.repeat(16)} +14155550123`);
  const elsewhere = compileMasking(compiled({ rules }), scope({ target: { name: 'x', groups: [] } }));
  assert.deepEqual(elsewhere, { masking: null, exemptions: [] });
});

test('an exemption takes away one rule from one group, and is told', () => {
  const rules = [
    rule({ name: 'pii', detect: ['email', 'card'], exemptGroups: ['support', 'dpo'] }),
    rule({ name: 'cards', detect: ['card'], mode: 'partial' }),
  ];
  const { masking, exemptions } = compileMasking(
    compiled({ rules }),
    scope({ groups: ['dpo', 'engineering'] }),
  );
  assert.deepEqual(exemptions, [{ rule: 'pii', groups: ['dpo'] }]);
  assert.ok(masking);
  assert.equal(masked(masking, 'ana@example.com 4111111111111111'), 'ana@example.com ************1111');
  assert.deepEqual(compileMasking(compiled({ rules }), scope()).exemptions, []);
});

test('the first rule that names a detector or a column decides, and gives its name', () => {
  const rules = [
    rule({ name: 'cards', detect: ['card'], mode: 'partial' }),
    rule({ name: 'all', detect: ['personal'], columns: ['public.t.c'], outputs: ['c'] }),
    rule({ name: 'late', columns: ['*.*.*'], mode: 'null' }),
  ];
  const masking = session({ rules });
  assert.equal(masked(masking, '4111111111111111 ana@example.com'), '************1111 ***************');
  const name = (column: string, table: string): string =>
    masking.ruleName(masking.columnRule({ name: column, origin: { schema: 'public', table, column } }));
  assert.deepEqual(
    [name('c', 't'), name('c', 'other'), name('d', 't')],
    ['all/column', 'all/output', 'late/column'],
  );
  const bytes = Buffer.from('4111111111111111');
  assert.equal(masking.ruleName(masking.scan(bytes, 0, bytes.length).rules[0]!), 'cards/card');
});

test('columns by origin whatever they are called; outputs by name; case does not count; quoted names', () => {
  const rules = [
    rule({ columns: ['public.customers.e*mail', '*.*.SSN', '"my.schema".t.c'], outputs: ['*_secret'] }),
  ];
  const masking = session({ rules, exemptColumns: ['public.orders.*'] });
  const hit = (name: string, schema: string, table: string, column: string): boolean =>
    masking.columnRule({ name, origin: { schema, table, column } }) !== -1;
  assert.ok(hit('alias', 'public', 'customers', 'email'));
  assert.ok(hit('alias', 'Public', 'Customers', 'E_Mail'));
  assert.ok(hit('x', 'a', 'b', 'ssn'));
  assert.ok(hit('x', 'my.schema', 't', 'c'));
  assert.ok(!hit('email', 'public', 'orders', 'email'));
  assert.ok(!hit('ssn', 'a', 'b', 'ssn_hash'));
  assert.notEqual(masking.columnRule({ name: 'client_secret', origin: null }), -1);
  assert.equal(masking.columnRule({ name: 'email', origin: null }), -1);
  assert.equal(masking.needsOrigins, true);
  assert.equal(masking.detects, false);
  assert.ok(masking.isExempt({ name: 'x', origin: { schema: 'public', table: 'orders', column: 'a' } }));
  assert.ok(!masking.isExempt({ name: 'x', origin: null }));
  assert.equal(session({ rules: [rule({ detect: ['email'] })] }).needsOrigins, false);
});

test('detectors of the operator: whole words in any case, patterns; beside the built-in ones', () => {
  const masking = session({
    detectors: [
      { name: 'project', pattern: null, words: ['Blue Heron', 'Émile', 'C++'] },
      { name: 'employee', pattern: '\\bE\\d{6}\\b', words: null },
      { name: 'room', pattern: '(?i)room [a-f]-(\\d+|[xy]{2,3})', words: null },
    ],
    rules: [rule({ detect: ['project', 'employee', 'room', 'email'] })],
  });
  assert.equal(
    masked(masking, 'the BLUE heron of ana@example.com, E123456'),
    `the ********** of ${'*'.repeat(15)}, *******`,
  );
  assert.equal(masked(masking, 'blue herons; E1234567; xE123456'), 'blue herons; E1234567; xE123456');
  assert.equal(masked(masking, 'émile ÉMILE c++'), '****** ****** ***');
  assert.equal(masked(masking, 'Room B-17 room f-xy room g-1'), '********* ********* room g-1');
});

test('patterns outside the language are refused with their place', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['(a', /character 3: a bracket that is not closed/],
    ['a)', /character 2: a bracket that was not opened/],
    ['^a', /character 1: anchors/],
    ['(?=a)', /character 2: look-around/],
    ['a**', /character 3: one quantifier/],
    ['*a', /character 1: a quantifier with nothing/],
    ['(a)\\1', /character 5: .*not supported/],
    ['[z-a]', /backwards/],
    ['[a', /not closed/],
    ['a{300}', /counts/],
    ['a*', /everywhere/],
    ['((a{200}){200}){200}', /too large/],
    ['(a|b)*a(a|b){12}', /too large/],
    ['a\\bc', /either end/],
    ['[é]', /ASCII/],
  ];
  for (const [pattern, message] of wrong) {
    const made = compileConfig({
      detectors: [{ name: 'x', pattern, words: null }],
      rules: [],
      exemptColumns: [],
    });
    assert.ok(!('custom' in made), pattern);
    assert.deepEqual(made[0]!.path, ['detectors', 0, 'pattern']);
    assert.match(made[0]!.message, message, pattern);
  }
});

test('a pattern finds what the same regular expression finds', () => {
  const patterns = ['ab?c', '[a-c]{2,4}d', '(ab|a)(bc|c)', 'a.c', '[^a]b', '(a|bc)+d?', '\\w\\d', 'a{2}b*'];
  for (const pattern of patterns) {
    const masking = session({
      detectors: [{ name: 'x', pattern, words: null }],
      rules: [rule({ detect: ['x'] })],
    });
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', '1', 'é'), maxLength: 30 }),
        (text) => {
          // leftmost-longest, not leftmost-first: compare what is covered from the left by trying every length
          const bytes = Buffer.from(text);
          const findings = masking.scan(bytes, 0, bytes.length);
          const expected: string[] = [];
          const whole = new RegExp(`^(?:${pattern})$`, 'su');
          const chars = Array.from(text);
          for (let from = 0; from < chars.length; from++)
            for (let to = chars.length; to > from; to--) {
              if (!whole.test(chars.slice(from, to).join(''))) continue;
              expected.push(chars.slice(from, to).join(''));
              from = to - 1;
              break;
            }
          const found = Array.from({ length: findings.length }, (_, index) =>
            bytes.toString('utf8', findings.starts[index], findings.ends[index]),
          );
          assert.deepEqual(found, expected, pattern);
        },
      ),
      { numRuns: 200 },
    );
  }
});

test('many findings: the list grows and stays in order', () => {
  const masking = session({ rules: [rule({ detect: ['email', 'card'] })] });
  const text = 'ana@example.com 4111111111111111\n'.repeat(5000);
  assert.equal(masked(masking, text), `${'*'.repeat(15)} ${'*'.repeat(16)}\n`.repeat(5000));
});
