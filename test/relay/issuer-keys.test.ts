/** Key sets on record: in the entry while they fit, else in a file that is there before the entry. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import canonicalize from 'canonicalize';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { keySetPath } from '../../src/evidence/logins/layout.ts';
import { tellIssuerKeys } from '../../src/relay/issuer-keys.ts';

test('a small set is in the entry; a large one, in letters of several bytes too, is a file when the entry comes', async () => {
  const evidence = mkdtempSync(path.join(tmpdir(), 'hoop-keys-'));
  try {
    for (const [filler, isFile] of [
      ['x'.repeat(32_000), false],
      ['x'.repeat(33_000), true],
      ['é'.repeat(20_000), true],
    ] as const) {
      const jwks = { keys: [{ kty: 'EC', kid: filler }] };
      const text = canonicalize(jwks)!;
      const digest = hash('sha256', text, 'hex');
      const file = path.join(evidence, keySetPath(digest));
      const entries: NewEntry[] = [];
      const append = async (entry: NewEntry) => {
        entries.push(entry);
        if (!isFile) return;
        assert.equal(readFileSync(file, 'utf8'), text);
        assert.equal(statSync(file).mode & 0o777, 0o600);
      };
      await tellIssuerKeys({ evidence, append }, 'https://issuer.example', { jwks, digest });
      const [entry] = entries;
      assert.ok(entry?.kind === 'issuer.keys');
      assert.deepEqual([entry.jwksDigest, entry.jwks], [digest, isFile ? null : jwks]);
    }
  } finally {
    rmSync(evidence, { recursive: true });
  }
});
