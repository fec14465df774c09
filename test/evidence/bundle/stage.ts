/** A real record, and bundles of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NoteSigner } from '../../../src/evidence/log/note.ts';
import { writeBundle, type WrittenBundle } from '../../../src/evidence/bundle/bundle.ts';
import { DirectoryFiles, type BundleSource } from '../../../src/evidence/bundle/fetched.ts';
import { formatStatement, type BundleInfo } from '../../../src/evidence/bundle/manifest.ts';
import { ZipWriter } from '../../../src/evidence/bundle/zip-writer.ts';
import { verifyBundle } from '../../../src/evidence/verify/index.ts';
import { EvidenceFixture } from '../verify/fixture.ts';

export interface Making {
  readonly filter?: BundleInfo['filter'];
  readonly source?: BundleSource;
  readonly signed?: boolean;
  /** Default: the log's first key. */
  readonly signer?: NoteSigner;
}

const silent = { phase: () => undefined, advanced: () => undefined };

export class BundleStage {
  readonly fixture: EvidenceFixture;
  readonly directory: string;

  private constructor(fixture: EvidenceFixture, directory: string) {
    this.fixture = fixture;
    this.directory = directory;
  }

  /** @param filler entries more */
  static async create(filler = 0): Promise<BundleStage> {
    const fixture = await EvidenceFixture.create();
    await fixture.history(filler);
    return BundleStage.of(fixture);
  }

  /** Of a record that is there; the fixture becomes the stage's. */
  static async of(fixture: EvidenceFixture): Promise<BundleStage> {
    await fixture.log.checkpoint();
    return new BundleStage(fixture, await mkdtemp(path.join(tmpdir(), 'hoop-bundle-')));
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  async make(
    name: string,
    { filter = {}, source, signed = true, signer }: Making = {},
  ): Promise<WrittenBundle> {
    const zip = await ZipWriter.open(this.path(name), Date.UTC(2026, 1, 3), () => undefined);
    try {
      const asked = Object.fromEntries(Object.entries(filter).map(([key, value]) => [key, String(value)]));
      const written = await writeBundle({
        source: source ?? new DirectoryFiles(this.fixture.directory),
        zip,
        info: { v: 1, asked, filter, relay: 'https://relay.example', begun: '2026-02-03T04:05:06.789Z' },
        sign: signed ? async (sha256) => this.sign(sha256, signer) : null,
        progress: silent,
      });
      zip.finish();
      return written;
    } finally {
      zip.close();
    }
  }

  sign(sha256: string, signer = this.fixture.signer): string {
    return signer.sign(formatStatement(signer.name, { sha256, entry: 12 }));
  }

  verify(name: string) {
    return verifyBundle({ file: this.path(name), vkey: this.fixture.vkey });
  }

  async codes(name: string): Promise<string[]> {
    return (await this.verify(name)).findings.map(({ code }) => code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}
