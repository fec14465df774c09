/**
 * A bundle, where it lies: the record in it is verified as in a directory; then that the manifest names exactly what is
 * there, and that the log's key signed it.
 */
import { release } from '../../bytes/release.ts';
import { hash, createHash } from 'node:crypto';
import {
  BundleInfo,
  bundleInfoBytes,
  bundleInfoName,
  Manifest,
  manifestBytes,
  manifestName,
  manifestNoteName,
  parseStatement,
  Scope,
  scopeBytes,
  scopeName,
} from '../bundle/manifest.ts';
import { malformed } from '../bundle/zip-format.ts';
import { ZipFiles } from '../bundle/zip-reader.ts';
import { EvidenceError } from '../error.ts';
import { StoredAt } from '../location.ts';
import { maxNoteBytes, openNote, type NoteVerifier } from '../log/note.ts';
import type { Findings } from './finding.ts';
import { verifyAnd, type Report, type VerifyOptions } from './verify.ts';

export interface BundleReport extends Report {
  readonly bundle: {
    /** What was asked for; null when the bundle does not say. Proven only as far as the manifest is. */
    readonly info: BundleInfo | null;
    /** Sessions whose recordings are inside; null: all of the log's. */
    readonly sessions: number | null;
    /** Place of the entry that says who took the bundle; null when the log's key says nothing of it. */
    readonly exported: number | null;
  };
}

/** @throws EvidenceError `bundle-malformed`, `evidence-not-found`; as `verify` */
export async function verifyBundle({
  file,
  ...options
}: Omit<VerifyOptions, 'directory' | 'sessions'> & { readonly file: string }): Promise<BundleReport> {
  const zip = ZipFiles.open(file);
  try {
    const scope = await readJson(zip, scopeName, scopeBytes, Scope);
    const info = await readJson(zip, bundleInfoName, bundleInfoBytes, BundleInfo);
    const sessions = scope === null ? null : new Set(scope.sessions);
    let exported: number | null = null;
    const report = await verifyAnd(
      { ...options, directory: new StoredAt(zip), ...(sessions !== null && { sessions }) },
      async (findings, keys) => {
        exported = await checkManifest(zip, keys, findings);
      },
    );
    return { ...report, bundle: { info, sessions: sessions?.size ?? null, exported } };
  } finally {
    zip.close();
  }
}

/** @returns what the signature says; null when it says nothing */
async function checkManifest(
  zip: ZipFiles,
  keys: readonly NoteVerifier[],
  findings: Findings,
): Promise<number | null> {
  const bytes = await zip.read(manifestName, manifestBytes);
  if (bytes === null) {
    findings.failure('manifest-missing', 'there is no manifest', { file: manifestName });
    return null;
  }
  const manifest = Manifest.safeParse(parse(bytes));
  if (!manifest.success) {
    findings.failure('manifest-malformed', 'the manifest cannot be read', { file: manifestName });
    return null;
  }
  await checkFiles(zip, manifest.data, findings);
  return checkSignature(zip, hash('sha256', bytes, 'hex'), keys, findings);
}

async function checkFiles(zip: ZipFiles, { files }: Manifest, findings: Findings): Promise<void> {
  const named = new Map(files.map(({ name, sha256 }) => [name, sha256]));
  for (const name of zip.names) {
    if (name === manifestName || name === manifestNoteName) continue;
    const expected = named.get(name);
    named.delete(name);
    if (expected === undefined)
      findings.failure('manifest-mismatch', 'a file that the manifest does not name', { file: name });
    else if (expected !== (await digestOf(zip, name)))
      findings.failure('manifest-mismatch', 'a file is not the one that the manifest names', { file: name });
  }
  for (const name of named.keys())
    findings.failure('manifest-mismatch', 'a file that the manifest names is missing', { file: name });
}

async function checkSignature(
  zip: ZipFiles,
  sha256: string,
  keys: readonly NoteVerifier[],
  findings: Findings,
): Promise<number | null> {
  const place = { file: manifestNoteName };
  const note = await zip.read(manifestNoteName, maxNoteBytes);
  if (note === null) {
    findings.warning('manifest-unsigned', 'no relay signed who took this bundle', place);
    return null;
  }
  try {
    const { text, verifier } = openByAny(note, keys);
    const statement = parseStatement(verifier.name, text);
    if (statement?.sha256 === sha256) return statement.entry;
    findings.failure('manifest-unverified', 'what the log’s key signed is another manifest', place);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    findings.failure('manifest-unverified', error.message, place);
  }
  return null;
}

/** By the log's key, or one that it was handed over to since. @throws EvidenceError `note-malformed`, `note-unverified` */
function openByAny(note: Buffer, keys: readonly NoteVerifier[]): { text: string; verifier: NoteVerifier } {
  let refusal: unknown = null;
  for (const verifier of keys)
    try {
      return { text: openNote(note, verifier).text, verifier };
    } catch (error) {
      refusal = error;
    }
  throw refusal;
}

async function digestOf(zip: ZipFiles, name: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of zip.content(name)) {
    digest.update(piece);
    // The rest of one that is not whole is still written to.
    if (piece.byteLength === piece.buffer.byteLength) release(piece);
  }
  return digest.digest('hex');
}

/** Null when it is not there. @throws EvidenceError `bundle-malformed` */
async function readJson<T>(
  zip: ZipFiles,
  name: string,
  limitBytes: number,
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
): Promise<T | null> {
  const bytes = await zip.read(name, limitBytes);
  if (bytes === null) return null;
  const parsed = schema.safeParse(bytes.length > limitBytes ? null : parse(bytes));
  if (parsed.success) return parsed.data;
  throw malformed(`${name} cannot be read`);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return null;
  }
}
