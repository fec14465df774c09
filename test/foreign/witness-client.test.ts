/** A log written in Go, with Go's own notes and proofs, is cosigned by this witness. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { NoteSigner } from '../../src/evidence/log/note.ts';
import { createLogger } from '../../src/relay/logging.ts';
import { loadWitnessConfig } from '../../src/relay/witness/config.ts';
import { startWitness } from '../../src/relay/witness/server.ts';
import { missing } from '../support/programs.ts';

/** Where Debian's golang-golang-x-mod-dev puts its sources. */
const gopath = '/usr/share/gocode';

test(
  'proofs and notes of Go are accepted, and Go verifies the cosignatures',
  { skip: missing('go') },
  async () => {
    const work = mkdtempSync(path.join(tmpdir(), 'hoop-go-witness-'));
    try {
      const client = path.join(work, 'client');
      const source = path.join(import.meta.dirname, 'witness-client/main.go');
      const env = {
        ...process.env,
        GO111MODULE: 'off',
        GOPATH: gopath,
        GOFLAGS: '',
        GOCACHE: path.join(work, 'cache'),
      };
      const built = spawnSync('go', ['build', '-o', client, source], { encoding: 'utf8', env });
      assert.equal(built.status, 0, built.stderr);
      const signer = NoteSigner.generate('go.example/log');
      const config = path.join(work, 'witness.yaml');
      writeFileSync(
        config,
        `name: witness.example/w1\ndataDir: data\nlisten: { port: ${await freePort()} }\n` +
          `logs: [{ origin: go.example/log, vkeys: ["${signer.verifier.toString()}"] }]\n`,
        { mode: 0o600 },
      );
      const logger = createLogger('error', { write: () => undefined });
      const witness = await startWitness(loadWitnessConfig(config), { logger });
      try {
        const { stdout } = await promisify(execFile)(client, [
          witness.url,
          witness.vkey,
          signer.exportSecret(),
        ]);
        assert.equal(stdout, 'cosigned up to 1000\n');
      } finally {
        await witness.close();
      }
    } finally {
      rmSync(work, { recursive: true });
    }
  },
);
