/** Each detector finds what it says, exactly; each check refuses what is only like it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { detectorId, detectorNames } from '../../src/masking/detectors/catalog.ts';
import type { DetectorName } from '../../src/masking/detectors/catalog.ts';
import { Scanner } from '../../src/masking/scan/scanner.ts';
import { plants } from './planted.ts';

const every = new Scanner(
  Int32Array.from(detectorNames, (_, id) => id),
  [],
);
const alone = (name: DetectorName): Scanner =>
  new Scanner(
    Int32Array.from(detectorNames, (each, id) => (each === name ? id : -1)),
    [],
  );

/** What a scanner finds in a text: `detector:value`. */
function found(scanner: Scanner, text: string | Buffer): string[] {
  const bytes = Buffer.from(text);
  const findings = scanner.scan(bytes, 0, bytes.length);
  return Array.from({ length: findings.length }, (_, index) => {
    const value = bytes.toString('utf8', findings.starts[index], findings.ends[index]);
    return `${detectorNames[findings.rules[index]!]}:${value}`;
  });
}

/** Makes a text long enough for the block scanner without changing what stands around the value. */
const long = 'lorem ipsum dolor sit amet, consectetur, '.repeat(6);

test('every planted value is found, whole and nothing else, by its detector alone and among all', () => {
  for (const { detector, text, start, end } of plants) {
    const expected = [`${detector}:${text.toString('utf8', start, end)}`];
    assert.deepEqual(found(alone(detector), text), expected, text.toString());
    assert.deepEqual(found(every, text), expected, `all detectors: ${text}`);
    const after = detector === 'private-key' ? '' : `\n${long}`; // an unfinished key takes what follows
    assert.deepEqual(found(every, `${long}\n${text}${after}`), expected, `in a long text: ${text}`);
  }
});

test('every detector has planted values', () => {
  assert.deepEqual(new Set(plants.map(({ detector }) => detector)), new Set(Object.keys(detectorId)));
});

/** Like a value, but not one. */
const unlike: readonly string[] = [
  '4111111111111112', // Luhn
  '0.4532015112830366', // digits of a fraction
  '41111111111111111111', // too long
  'a4111111111111111', // part of a word
  '4111111111111111b',
  '1234567890123452', // Luhn, but nobody issues it
  '4006381333931', // a bar code
  'DE88370400440532013000', // check digits
  'ZZ89370400440532013000', // no such country
  'DE893704004405320130001', // too long
  '000-45-6789',
  '666-45-6789',
  '900-45-6789',
  '123-00-6789',
  '123-45-0000',
  '123-45-6789-1',
  '123456789',
  '143 476 5918',
  'DQ123456C',
  'AB123456E',
  '12345678A',
  'X1234567A',
  'RSSMRA85T10A562T',
  '111222333',
  '44051401359',
  '811228-9874',
  '111.444.777-36',
  '111.111.111-11',
  '1345 6789 0124',
  'ana@localhost',
  '@example.com',
  'logo@2x.png',
  'git@github.com:owner/name.git',
  'left-pad@1.3.0',
  '2026-11-22 10:23:45.123456+00',
  '2026-11-22T10:23:45Z',
  '10:23:45+01:00',
  '123-4567',
  '155-234-5678',
  '1.2.3.4',
  '5.10.0.12',
  'v10.2.3.4',
  '127.0.0.1',
  '255.255.255.0',
  '256.1.1.1',
  '192.168.1.20.5',
  'std::vector<int>',
  'a::b',
  '::1',
  '00:1b:44:11:3a:b7',
  '12:34:56:78:9a:bc:de:f0:11',
  'eyJhbGciOiJIUzI1NiJ9',
  'eyJub3QiOjF9.example',
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
  '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----',
  'AKIAIOSFODNN7EXAMPL',
  'ghp_short',
  'sk_live_',
  'task-ant-hill-long-name-of-something',
  'https://example.com:8080/a@b',
  'password: required',
  'Password must be at least 12 characters',
  'token_type: bearer',
  'the key: user_profile',
  'key: 2026/01/15/image-0001.jpeg',
  'secret: ${SECRET_FROM_THE_VAULT_1234}',
  '550e8400-e29b-41d4-a716-446655440000',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
];

test('what only looks like a value is left', () => {
  for (const text of unlike) {
    assert.deepEqual(found(every, text), [], text);
    assert.deepEqual(found(every, `${long}\n${text}\n${long}`), [], `in a long text: ${text}`);
  }
});

test('an escape of JSON or COPY before a value is no part of it', () => {
  const doubled = ['\\\\n', '\\\\u0020', '\\\\\\\\n']; // once for each text that stands in another
  for (const before of ['\\n', '\\t', '\\r', '\\u0020', '\\u00a0', '\\\\', '\\"', ...doubled]) {
    assert.deepEqual(found(every, `"x${before}4111111111111111"`), ['card:4111111111111111'], before);
    assert.deepEqual(found(every, `"x${before}ana@example.com"`), ['email:ana@example.com'], before);
    assert.deepEqual(
      found(every, `"x${before}-----BEGIN PRIVATE KEY-----\\nAA"`),
      ['private-key:-----BEGIN PRIVATE KEY-----\\nAA'],
      before,
    );
  }
  assert.deepEqual(found(every, `${long}\\nDE89370400440532013000`), ['iban:DE89370400440532013000']);
});

test('a secret is masked whole however long it is', () => {
  const secret = 'Zq8x7Y2pLm4Nr6Tv0Ws'.repeat(100);
  for (const [before, after] of [
    ['api_key=', ' x'],
    ['"token": "', '"'],
    ['host=h password=', ' user=u'],
  ])
    assert.deepEqual(
      found(every, `${before}${secret}${after}`).map((each) => each.split(':')[1]),
      [secret],
    );
});

test('findings do not overlap, and what two detectors found is covered', () => {
  assert.deepEqual(found(every, 'DE89370400440532013000@example.com'), [
    'email:DE89370400440532013000@example.com',
  ]);
  assert.deepEqual(found(every, 'postgres://u:s3cr3t@db.example.com/x'), ['url-password:s3cr3t']);
  assert.deepEqual(found(alone('email'), 'postgres://u:s3cr3t@db.example.com/x'), [
    'email:s3cr3t@db.example.com',
  ]);
  assert.deepEqual(found(every, 'ana@example.com,bob@example.com 4111 1111 1111 1111 555-234-5678'), [
    'email:ana@example.com',
    'email:bob@example.com',
    'card:4111 1111 1111 1111',
    'phone:555-234-5678',
  ]);
});
