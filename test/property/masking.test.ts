/**
 * What holds of every scan: a planted value is found at every offset and at every split, whichever way the bytes are read;
 * ordinary values are left; findings lie within their values; hostile bytes take time in proportion to their length.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { detectorNames } from '../../src/masking/detectors/catalog.ts';
import { Scanner } from '../../src/masking/scan/scanner.ts';
import { ScannedStream } from '../../src/masking/stream.ts';
import { plants } from '../masking/planted.ts';
import type { Plant } from '../masking/planted.ts';

const scanner = new Scanner(
  Int32Array.from(detectorNames, (_, id) => id),
  [],
);

type Span = readonly [start: number, end: number];

function spansOf(findings: {
  readonly length: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}): Span[] {
  return Array.from({ length: findings.length }, (_, index) => [
    findings.starts[index]!,
    findings.ends[index]!,
  ]);
}

const covers = (spans: readonly Span[], from: number, to: number): boolean => {
  let covered = from;
  for (const [start, end] of spans) if (start <= covered && end > covered) covered = end;
  return covered >= to;
};

/** Text in which nothing is sensitive, and after which no plant's context fails. */
const filler = Buffer.from('lorem ipsum dolor, sit amet; consectetur (adipiscing) elit. '.repeat(1200));

test('a planted value is found at every offset, by the loop over bytes and in blocks', () => {
  for (const { detector, text, start, end } of plants)
    for (const before of [
      0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 47, 48, 49, 63, 64, 65, 100, 159, 160, 161, 300,
    ]) {
      const bytes = Buffer.concat([filler.subarray(0, before), Buffer.from(' '), text]);
      const spans = spansOf(scanner.scan(bytes, 0, bytes.length));
      const from = before + 1 + start;
      assert.ok(covers(spans, from, before + 1 + end), `${detector} behind ${before}: ${text}`);
    }
});

test('a planted value is found wherever it lies across the blocks of a long value', () => {
  const block = 65_536;
  for (const { detector, text, start, end } of plants)
    for (const offset of [block - text.length, block - end, block - start - 1, block - start, block - 1]) {
      const bytes = Buffer.concat([filler, filler]).subarray(0, block * 2 - 1000);
      bytes[offset - 1] = 0x20;
      text.copy(bytes, offset);
      bytes[offset + text.length] = 0x0a;
      const spans = spansOf(scanner.scan(bytes, 0, bytes.length));
      assert.ok(covers(spans, offset + start, offset + end), `${detector} at ${offset}: ${text}`);
    }
});

/** Values one after another, as in messages: four bytes of length before each, any bytes at all. */
function framed(values: readonly Buffer[]): { bytes: Buffer; starts: Int32Array; ends: Int32Array } {
  const starts = new Int32Array(values.length);
  const ends = new Int32Array(values.length);
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [index, value] of values.entries()) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value.length);
    parts.push(length, value);
    starts[index] = offset + 4;
    offset += 4 + value.length;
    ends[index] = offset;
  }
  return { bytes: Buffer.concat(parts), starts, ends };
}

const plant = fc.constantFrom(...plants);
const ordinary = fc.constantFrom(
  '',
  'a',
  '0',
  '4111',
  'x'.repeat(49),
  '1'.repeat(52),
  'q'.repeat(65),
  'shipped',
);
const value = fc.oneof(
  plant.map((each: Plant) => each.text),
  ordinary.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
);

/** Each value alone is short enough for the loop over bytes; together they are read in blocks. */
function assertAlike(by: Scanner, values: readonly Buffer[]): void {
  const { bytes, starts, ends } = framed(values);
  const alone = values.flatMap((each, index) => {
    const findings = by.scan(each, 0, each.length);
    return spansOf(findings).map(([start, end], at) => [
      index,
      starts[index]! + start,
      starts[index]! + end,
      findings.rules[at],
    ]);
  });
  const findings = by.scanValues(bytes, starts, ends, values.length);
  const together = spansOf(findings).map(([start, end], at) => [
    findings.values[at],
    start,
    end,
    findings.rules[at],
  ]);
  assert.deepEqual(together, alone);
  for (const [index, start, end] of together) {
    assert.ok(start! >= starts[index!]! && end! <= ends[index!]! && start! < end!);
  }
}

test('many values in one scan have the findings that each has alone, whatever stands between them', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (values) => assertAlike(scanner, values)),
    { numRuns: 400 },
  );
});

/** What addresses, cards and social security numbers are made of, and what makes them none, or others. */
const shards = [
  `a B7 example com io de png WEBP tgz xn--p1ai git ${'x'.repeat(64)} 0 9 ssn= ana@example.com logo@2x.png b.@c.io`,
  '@ @ @ . . - _ % + : / \' " ( ) é ana%40example.com 2026-11-22 10.0.0.1 \\ \\n \\u0041 \0',
  '4111111111111111 5555555555554444 2223003122003222 4111111111111112 123456789 411111111111111111',
  '123-45-6789 078-05-1120 666-12-3456 000-12-3456 123-00-4567 123-45-0000 900-12-3456',
].flatMap((line) => line.split(' ').concat(' '));
const some = new Scanner(
  Int32Array.from(detectorNames, (name) => ['email', 'card', 'us-ssn'].indexOf(name)),
  [],
);

test('what is confirmed in blocks is what detectors confirm, of values that nearly are what they look for', () => {
  const nearly = fc
    .array(fc.constantFrom(...shards), { minLength: 1, maxLength: 7 })
    .map((parts) => Buffer.from(parts.join('')))
    .filter(({ length }) => length < 160);
  // long enough together, whatever is in it
  const long = fc.constant(filler.subarray(0, 159));
  const values = fc.tuple(long, fc.array(nearly, { maxLength: 12 })).map(([last, all]) => all.concat(last));
  fc.assert(
    fc.property(values, (all) => {
      assertAlike(some, all);
      assertAlike(scanner, all);
    }),
    { numRuns: 3000 },
  );
});

/** Pushes pieces as a caller does, keeping the undecided tail; returns all findings in offsets of the whole value. */
function streamed(bytes: Buffer, cuts: readonly number[]): Span[] {
  const stream = new ScannedStream(scanner);
  const spans: Span[] = [];
  let decided = 0;
  for (const [index, to] of [...cuts, bytes.length].entries()) {
    // the caller's buffer is elsewhere, and what was delivered has been masked
    const piece = Buffer.concat([Buffer.from('#'), bytes.subarray(decided, to)]);
    const findings = stream.push(piece, 1, piece.length, index === cuts.length);
    for (const [start, end] of spansOf(findings)) {
      assert.ok(start >= 1 && end <= stream.decided, 'a finding lies in what is decided');
      spans.push([decided + start - 1, decided + end - 1]);
    }
    assert.ok(piece.length - stream.decided < 4096, 'the undecided tail is bounded');
    decided += stream.decided - 1;
  }
  assert.equal(decided, bytes.length);
  return spans;
}

test('a value in pieces has its planted values found at every split', () => {
  fc.assert(
    fc.property(plant, fc.nat(9000), fc.array(fc.nat(20_000), { maxLength: 6 }), (each, before, splits) => {
      const bytes = Buffer.concat([
        filler.subarray(0, before),
        Buffer.from('\n'),
        each.text,
        Buffer.from('\n'),
        filler.subarray(0, 9000),
      ]);
      const cuts = splits.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b);
      const spans = streamed(bytes, cuts);
      const from = before + 1 + each.start;
      assert.ok(covers(spans, from, before + 1 + each.end), `${each.detector}, cut at ${cuts.join()}`);
    }),
    { numRuns: 1500 },
  );
});

test('a private key of any length stays masked to its end, or to the end of the value', () => {
  const body = `${'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu'}\n`.repeat(3000);
  const key = `-----BEGIN RSA PRIVATE KEY-----\n${body}-----END RSA PRIVATE KEY-----`;
  const bytes = Buffer.from(`before\n${key}\nafter, with ana@example.com in it`);
  const end = 7 + key.length;
  for (const size of [1000, 4096, 10_000, 65_536]) {
    const cuts = Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => (index + 1) * size);
    const spans = streamed(bytes, cuts);
    assert.ok(covers(spans, 7, end), `pieces of ${size}`);
    assert.ok(spans.every(([start]) => start >= 7));
    const after = spans.filter(([start]) => start >= end);
    assert.deepEqual(after, [[end + 13, end + 28]], 'what follows the key is not taken for it');
  }
  const open = Buffer.from(`x\n-----BEGIN PRIVATE KEY-----\n${body}`);
  assert.ok(covers(streamed(open, [5000, 9000, 50_000]), 2, open.length));
  for (let cut = 1; cut < 300; cut++) {
    const split = bytes.length - 300 + cut;
    assert.ok(covers(streamed(bytes, [split]), 7, end), `cut ${300 - cut} before the end`);
  }
});

test('a token longer than any piece stays masked to its end', () => {
  const token = `eyJhbGciOiJIUzI1NiJ9.eyJ${'abcDEF0123-_'.repeat(4000)}.c2ln`;
  const bytes = Buffer.from(`a ${token} and more`);
  assert.ok(covers(streamed(bytes, [5000, 10_000, 48_000, 48_020]), 2, 2 + token.length));
});

const pseudoRandom = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

const pad = (number: number, width: number): string => String(number).padStart(width, '0');

/** Generators of values that every database is full of. */
function cleanValues(): readonly (() => string)[] {
  const next = pseudoRandom(7);
  const hash = (name: string): string =>
    createHash(name)
      .update(String(next(1e9)))
      .digest('hex');
  const pick = (list: string): string => list.split(' ')[next(list.split(' ').length)]!;
  const date = (): string => `${1950 + next(90)}-${pad(1 + next(12), 2)}-${pad(1 + next(28), 2)}`;
  const time = (): string => `${pad(next(24), 2)}:${pad(next(60), 2)}:${pad(next(60), 2)}`;
  const name = (): string =>
    pick('Ana Bo Chen Dara Émile Fatima Göran Hana Ines João Kofi Lena Marek Nia Omar');
  const word = (): string =>
    pick(
      'order shipment invoice customer warehouse password token secret key phone card account team region total',
    );
  const uuid = (): string => {
    const hex = hash('md5');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  };
  return [
    date,
    () => `${date()} ${time()}`,
    () => `${date()} ${time()}.${pad(next(1e6), 6)}+0${next(10)}`,
    () => `${date()}T${time()}Z`,
    () => `${pad(1 + next(28), 2)}.${pad(1 + next(12), 2)}.${1950 + next(90)}`,
    () => `${pad(1 + next(12), 2)}/${pad(1 + next(28), 2)}/${1950 + next(90)}`,
    () => `${date()} - ${date()}`,
    () => date().replaceAll('-', ''),
    time,
    () => `${next(40)} days ${time()}`,
    uuid,
    () => String(next(2 ** 31)),
    () => String(-next(1e6)),
    () => String(1_600_000_000 + next(3e8)),
    () => String(1_600_000_000_000 + next(3e11)),
    () => String(1_600_000_000_000_000 + next(3e14)),
    () => `${next(1e5)}.${pad(next(100), 2)}`,
    () => `${next(10)}.${pad(next(1e8), 8)}${pad(next(1e8), 8)}`,
    () => `${(next(36e6) / 1e5 - 180).toString()},${(next(18e6) / 1e5 - 90).toString()}`,
    () => `(${(next(2 ** 31) / 2 ** 31) * 180},${(next(2 ** 31) / 2 ** 31) * 90})`,
    () => `${next(1000)},${pad(next(1000), 3)},${pad(next(1000), 3)}.${pad(next(100), 2)}`,
    () => `€ ${next(1000)}.${pad(next(1000), 3)},${pad(next(100), 2)}`,
    () => `${(next(1e6) / 7).toExponential()}`,
    () => `${next(20)}.${next(30)}.${next(100)}`,
    () => `v${next(20)}.${next(30)}.${next(100)}-rc.${next(9)}`,
    () => `${next(10)}.${next(30)}.${next(30)}.${next(30)}`,
    () => `${next(130)}.0.${6000 + next(999)}.${next(200)}`,
    () => hash('sha1'),
    () => hash('sha256'),
    () => `sha256:${hash('sha256')}`,
    () =>
      createHash('sha512')
        .update(String(next(1e9)))
        .digest('base64'),
    () =>
      createHash('sha256')
        .update(String(next(1e9)))
        .digest('base64url'),
    () =>
      `data:image/png;base64,iVBORw0KGgo${createHash('sha512')
        .update(String(next(1e9)))
        .digest('base64')}`,
    () => `${name()} ${name()}`,
    () => `${next(200)} ${name()} Street, ${pad(next(99_999), 5)} ${name()}town`,
    () => `${pick('US DE FR GB NL SE')}-${pad(next(99_999), 5)}`,
    () => `ORD-${date().replaceAll('-', '')}-${pad(next(9999), 4)}`,
    () => `SKU-${pad(next(1e8), 8)}`,
    () => `${pick('AB KX ZT')}-${next(1e5)}-${pad(next(100), 2)}`,
    () => pad(next(1e8), 10),
    () => `978-${next(10)}-${pad(next(10_000), 4)}-${pad(next(10_000), 4)}-${next(10)}`,
    () => `${400 + next(40)}${pad(next(1e10), 10)}`,
    () => `https://example.com/${word()}/${next(1e6)}?page=${next(99)}&sort=${word()}`,
    () => `/srv/${word()}/${date()}/${pad(next(1e4), 4)}.csv`,
    () => `${word()}@${next(9)}.${next(9)}.${next(9)}`,
    () => `@${name().toLowerCase()} and @${word()}`,
    () => `${word()}::${word()}`,
    () => `{"${word()}": ${next(1e6)}, "${word()}": "${word()}", "at": "${date()}T${time()}Z"}`,
    () => `{${next(1000)},${next(1000)},${next(1000)}}`,
    () => `[${date()},${date()})`,
    () => Array.from({ length: 6 }, () => hash('md5').slice(0, 2)).join(':'),
    () => `The ${word()} of ${name()} is ${word()}: ${word()}, since ${date()}.`,
    () => `${word()}_${word()}=${word()}`,
    () => `${word()}: ${word()} ${word()}`,
    () => `SELECT ${word()}, count(*) FROM ${word()} WHERE id = ${next(1e6)} AND created > '${date()}'`,
    () => `${next(100)}% of ${next(1e4)} (${next(1e3)}/${next(1e4)})`,
    () => `${next(12)}x${next(12)}x${next(12)} cm`,
    () => `${pick('127.0.0.1 ::1 localhost 0.0.0.0 255.255.255.0')}:${1024 + next(60_000)}`,
    () => `${pick('true false t f NULL \\N')}`,
    () => `\\x${hash('md5')}`,
  ];
}

test('of 400,000 ordinary values no more than one in 100,000 is masked', () => {
  const generators = cleanValues();
  const wrong: string[] = [];
  const total = 400_000;
  for (let index = 0; index < total; index++) {
    const text = generators[index % generators.length]!();
    const bytes = Buffer.from(text);
    if (scanner.scan(bytes, 0, bytes.length).length > 0) wrong.push(text);
  }
  assert.ok(
    wrong.length <= total / 100_000,
    `${wrong.length} of ${total}: ${wrong.slice(0, 30).join(' · ')}`,
  );
});

/** What makes a careless detector start again and again. */
const floods: Readonly<Record<string, string>> = {
  digits: '4',
  'digits in groups': '4444 ',
  'hyphenated digits': '123-45-',
  'at signs': '@',
  addresses: 'a@',
  labels: 'a.',
  'address without end': 'a@b.',
  colons: ':',
  'hex and colons': 'abcd:',
  'URL schemes': '://',
  'user names': '://a:',
  headers: '-----BEGIN ',
  'key headers': '-----BEGIN PRIVATE KEY-----',
  'quoted key headers': '"-----BEGIN PRIVATE KEY-----"',
  hyphens: '-',
  'JWT headers': 'eyJ',
  'JWT parts': 'eyJaaaaaaaaaa.',
  prefixes: 'ghp_',
  'key words': 'password=',
  'words and blanks': 'secret: ',
  backslashes: '\\',
  escapes: '\\u0034',
  words: 'AB12',
  plus: '+1',
  quotes: '"',
  zeros: '\0',
};

test('floods of anchors take time in proportion to their length', () => {
  for (const [name, part] of Object.entries(floods)) {
    const cost = (bytes: Buffer): number => {
      const before = process.cpuUsage();
      scanner.scan(bytes, 0, bytes.length);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const small = Buffer.alloc(100_000, part);
    const large = Buffer.alloc(800_000, part);
    cost(small);
    const unit = Math.max(Math.min(cost(small), cost(small)), 2000);
    // eight times the bytes: far from the 64 times of a square
    assert.ok(Math.min(cost(large), cost(large)) < unit * 24, name);
  }
});

test('any bytes: findings are in order, within the value, without overlap', () => {
  const piece = fc.oneof(
    fc.constantFrom(...Object.values(floods)).map((text) => Buffer.from(text)),
    plant.map((each: Plant) => each.text),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.nat(20), fc.nat(20), (pieces, before, after) => {
      const bytes = Buffer.concat(pieces);
      const start = Math.min(before, bytes.length);
      const end = Math.max(start, bytes.length - after);
      let last = start;
      for (const [from, to] of spansOf(scanner.scan(bytes, start, end))) {
        assert.ok(from >= last && to > from && to <= end);
        last = to;
      }
    }),
    { numRuns: 500 },
  );
});
