import { test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { SecretReference, settingValue } from '../../../src/relay/config/secret.ts';
import { formatDurationMs, parseDurationMs, parseSizeBytes } from '../../../src/relay/config/units.ts';

function directoryOf(context: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-secret-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function reference(text: string, directory = '/'): SecretReference {
  const parsed = SecretReference.parse(text, directory);
  assert.ok(parsed);
  return parsed;
}

test('a reference is env:NAME or file:PATH and nothing else', () => {
  for (const text of ['hunter2', 'env:', 'env:1A', 'env:A B', 'env:A=B', 'file:', 'ENV:A', ' env:A', ''])
    assert.equal(SecretReference.parse(text, '/'), null, text);
  assert.equal(String(reference('file:a/b', '/etc')), 'file:/etc/a/b');
  assert.equal(String(reference('env:A_1')), 'env:A_1');
});

test('the secret is read when asked for, and never shown', (context) => {
  const file = path.join(directoryOf(context), 'password');
  const secret = reference(`file:${file}`);
  assert.throws(() => secret.resolve(), { code: 'secret-unavailable' });
  writeFileSync(file, 'one two \n', { mode: 0o600 });
  assert.equal(secret.resolve(), 'one two ');
  writeFileSync(file, 'rotated\r\n');
  assert.equal(secret.resolve(), 'rotated');
  assert.equal(settingValue(secret), 'rotated');
  assert.equal(settingValue('literal'), 'literal');
  for (const shown of [String(secret), JSON.stringify({ secret }), inspect(secret, { depth: 9 })])
    assert.ok(!shown.includes('rotated') && shown.includes(file));
  const variable = reference('env:P');
  assert.equal(variable.resolve({ P: 'x' }), 'x');
  for (const environment of [{}, { P: '' }])
    assert.throws(() => variable.resolve(environment), { code: 'secret-unavailable' });
});

test('a file that others can read or change is refused, whatever is in it', (context) => {
  const file = path.join(directoryOf(context), 'password');
  writeFileSync(file, 'x');
  const resolve = () => reference(`file:${file}`).resolve();
  for (const mode of [0o644, 0o604, 0o602, 0o601, 0o620, 0o660, 0o666]) {
    chmodSync(file, mode);
    assert.throws(resolve, { code: 'secret-exposed' }, mode.toString(8));
  }
  for (const mode of [0o600, 0o400, 0o440, 0o640]) {
    chmodSync(file, mode);
    assert.equal(resolve(), 'x', mode.toString(8));
  }
});

test('a file of another user is refused', (context) => {
  if (process.getuid?.() !== 0) return context.skip('only root can give a file away');
  const file = path.join(directoryOf(context), 'password');
  writeFileSync(file, 'x', { mode: 0o600 });
  chownSync(file, 65_534, 65_534);
  assert.throws(() => reference(`file:${file}`).resolve(), { code: 'secret-exposed' });
});

test('a directory, a FIFO, an empty or an endless file is no secret, and none blocks', (context) => {
  const directory = directoryOf(context);
  const fifo = path.join(directory, 'fifo');
  execFileSync('mkfifo', ['-m', '600', fifo]);
  const large = path.join(directory, 'large');
  writeFileSync(large, Buffer.alloc(65_537, 'x'), { mode: 0o600 });
  const empty = path.join(directory, 'empty');
  writeFileSync(empty, '\n', { mode: 0o600 });
  for (const file of [directory, fifo, large, empty, '/dev/zero'])
    assert.throws(() => reference(`file:${file}`).resolve(), { code: 'secret-unavailable' }, file);
});

test('durations and sizes', () => {
  const durations = { '0s': 0, '250ms': 250, '90s': 90_000, '1h30m': 5_400_000, '7d': 604_800_000 };
  for (const [text, value] of Object.entries(durations)) {
    assert.equal(parseDurationMs(text), value);
    assert.equal(parseDurationMs(formatDurationMs(value)), value);
  }
  for (const text of ['', '8', 'h', '1 h', '-1s', '1.5h', '1H', '1e3s', '9999999999s', '1h30'])
    assert.equal(parseDurationMs(text), null, text);
  assert.deepEqual(['0B', '512KiB', '64MiB', '2GiB'].map(parseSizeBytes), [0, 2 ** 19, 2 ** 26, 2 ** 31]);
  for (const text of ['', '64', '64MB', '1.5MiB', 'MiB', '-1B'])
    assert.equal(parseSizeBytes(text), null, text);
});
