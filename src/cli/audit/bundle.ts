/** `hoop audit export --out FILE.zip`: a record that verifies, in one file; of a relay, or of an evidence directory. */
import { existsSync, unlinkSync } from 'node:fs';
import type { Account } from '../../agent/account.ts';
import { EvidenceClient } from '../../agent/evidence-client.ts';
import { writeBundle, type WrittenBundle } from '../../evidence/bundle/bundle.ts';
import { contentOf, DirectoryFiles, type BundleSource } from '../../evidence/bundle/fetched.ts';
import { partialOf, ZipWriter } from '../../evidence/bundle/zip-writer.ts';
import { tryLock } from '../../system/file-lock.ts';
import { askedFor, ManifestNote, type AuditQuery } from '../../wire/audit.ts';
import { RelayFiles } from './download.ts';
import { BundleBar } from './progress.ts';
import { AuditError } from './source.ts';

export interface BundleWish {
  readonly file: string;
  readonly query: AuditQuery;
  /** The filters as they were typed. */
  readonly asked: Readonly<Record<string, string>>;
  readonly quiet: boolean;
}

export interface ExportedBundle extends WrittenBundle {
  readonly file: string;
  readonly bytes: number;
}

/** @param from whose relay is read, or the evidence directory */
export async function exportBundle(from: Account | string, wish: BundleWish): Promise<ExportedBundle> {
  const { file } = wish;
  if (existsSync(file))
    throw new AuditError('export-exists', `${file} is there already`, { hint: 'name another file' });
  const lockFile = `${partialOf(file)}.lock`;
  const lock = tryLock(lockFile);
  if (lock === null)
    throw new AuditError('export-exists', `another export writes ${file}`, { hint: 'wait for it' });
  try {
    return await write(from, wish);
  } finally {
    lock.release();
    unlinkSync(lockFile);
  }
}

async function write(
  from: Account | string,
  { file, query, asked, quiet }: BundleWish,
): Promise<ExportedBundle> {
  const bar = new BundleBar(!quiet);
  const ended = new AbortController();
  const begun = new Date();
  const zip = await ZipWriter.open(file, begun.getTime(), (bytes) => bar.resumed(bytes));
  try {
    const relay = typeof from === 'string' ? null : from.relay;
    const written = await writeBundle({
      source: typeof from === 'string' ? new DirectoryFiles(from) : new RelaySource(from, ended.signal),
      zip,
      info: { v: 1, asked, filter: query, relay, begun: begun.toISOString() },
      sign: typeof from === 'string' ? null : (sha256) => signed(from, sha256, query),
      progress: bar,
    });
    zip.finish();
    return { file, bytes: zip.bytes, ...written };
  } catch (error) {
    bar.end();
    // Checkpoint and hashes, which are public, are not worth a file that stays.
    if (![...zip.files.names].some((name) => name.startsWith('log/tile/entries/')))
      unlinkSync(partialOf(file));
    else bar.say(`  ${partialOf(file)} is kept: the same command goes on with it`);
    throw error;
  } finally {
    bar.end();
    ended.abort();
    zip.close();
  }
}

class RelaySource implements BundleSource {
  readonly #files: RelayFiles;

  constructor(account: Account, signal: AbortSignal) {
    this.#files = new RelayFiles(account, signal);
  }

  async open(file: string) {
    const body = await this.#files.open(file);
    return body === null ? null : contentOf(body);
  }

  whole(file: string): Promise<Buffer | null> {
    return this.#files.whole(file);
  }
}

/** The relay writes down who took the bundle, and signs where. */
async function signed(account: Account, manifest: string, query: AuditQuery): Promise<string> {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const path = `/v1/audit/manifest?${new URLSearchParams([...given, ['manifest', manifest]]).toString()}`;
  const call = { path, action: 'export', asked: askedFor(query, { manifest }) } as const;
  return (await new EvidenceClient(account).get(call, ManifestNote)).note;
}
