/**
 * Rules about who may import whom, each with its reason. The picture is in ARCHITECTURE.md.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../src');

interface Import {
  readonly from: string;
  readonly to: string;
}

function sources(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.split(path.sep).join('/'));
}

function imports(): Import[] {
  const found: Import[] = [];
  for (const file of sources()) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
      const specifier = match[1]!;
      const to = specifier.startsWith('.')
        ? path
            .relative(root, path.resolve(root, path.dirname(file), specifier))
            .split(path.sep)
            .join('/')
        : specifier;
      found.push({ from: file, to });
    }
  }
  return found;
}

/** Layers, lowest first. Peers of one layer do not import one another unless `open`. */
const layers: { names: string[]; peersMayMeet: boolean }[] = [
  { names: ['model', 'errors.ts', 'bytes', 'system'], peersMayMeet: true },
  { names: ['protocols/postgres', 'protocols/ssh', 'wire'], peersMayMeet: false },
  { names: ['identity', 'policy', 'reviews', 'masking', 'evidence'], peersMayMeet: false },
  { names: ['gate'], peersMayMeet: false },
  { names: ['agent', 'relay'], peersMayMeet: false },
  { names: ['cli'], peersMayMeet: false },
  { names: ['commands'], peersMayMeet: false },
];

function place(file: string): { layer: number; name: string } | null {
  for (const [layer, { names }] of layers.entries()) {
    const name = names.find((candidate) => file === candidate || file.startsWith(`${candidate}/`));
    if (name !== undefined) return { layer, name };
  }
  return null;
}

/** Interfaces that a lower layer implements for a higher one; types only. */
const ports = new Set(['gate/gate.ts', 'gate/masking.ts', 'gate/recorder.ts', 'gate/reviews.ts']);

test('imports point down, and peers do not know one another: each layer can be read, tested and replaced alone', () => {
  const wrong: string[] = [];
  for (const { from, to } of imports()) {
    if (!to.includes('/') && to !== 'errors.ts') continue; // a package
    const [here, there] = [place(from), place(to)];
    if (here === null) wrong.push(`${from} stands in no layer`);
    if (here === null || there === null || here.name === there.name || ports.has(to)) continue;
    if (there.layer > here.layer) wrong.push(`${from} imports ${to}, which stands above it`);
    if (there.layer === here.layer && !layers[here.layer]!.peersMayMeet)
      wrong.push(`${from} imports its peer ${to}`);
  }
  assert.deepEqual(wrong, []);
});

test('a protocol opens no socket, reads no clock and touches no file: it can be tested with bytes alone', () => {
  const outside = /^(node:)?(fs|net|tls|http|https|dgram|child_process|worker_threads|timers|fs\/promises)$/;
  const wrong = imports().filter(({ from, to }) => from.startsWith('protocols/') && outside.test(to));
  assert.deepEqual(wrong, []);
});

test('evidence/verify imports nothing that writes and no network: an auditor runs it without trusting the relay', () => {
  const wrong = imports().filter(
    ({ from, to }) =>
      from.startsWith('evidence/verify/') &&
      (/^(node:)?(net|tls|http|https|child_process|sqlite)$/.test(to) ||
        /^(pg|kysely|undici|ws)$/.test(to) ||
        to.startsWith('system/') ||
        to.startsWith('evidence/log/log') ||
        to.startsWith('evidence/logins/archive') ||
        to.startsWith('evidence/recording/recorder')),
  );
  assert.deepEqual(wrong, []);
});

test('only cli/ and commands/ print: stdout is data, and the relay logs through its logger', () => {
  const wrong = sources().filter(
    (file) =>
      !/^(cli|commands)\//.test(file) &&
      /console\.(log|error|warn|info)\(|process\.(stdout|stderr)\.write\(/.test(
        readFileSync(path.join(root, file), 'utf8'),
      ),
  );
  assert.deepEqual(wrong, []);
});

test('no file grows past 500 lines and no command past 60: look for the second noun in it', () => {
  const wrong = sources()
    .map((file) => ({ file, lines: readFileSync(path.join(root, file), 'utf8').split('\n').length }))
    .filter(({ file, lines }) => lines > (file.startsWith('commands/') ? 75 : 500));
  assert.deepEqual(wrong, []);
});
