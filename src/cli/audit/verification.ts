/** `hoop audit verify`: brings files and key together; the proof itself is `evidence/verify`. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Account } from '../../agent/account.ts';
import { directories } from '../../agent/directories.ts';
import { hasErrno } from '../../errors.ts';
import type { NoteVerifier } from '../../evidence/log/note.ts';
import { parsePolicy } from '../../evidence/log/policy.ts';
import { Scope, scopeName } from '../../evidence/bundle/manifest.ts';
import { ZipFiles } from '../../evidence/bundle/zip-reader.ts';
import { StoredAt } from '../../evidence/location.ts';
import {
  verify,
  verifyBundle,
  type AttributionOptions,
  type BundleReport,
  type Report,
  type VerifyOptions,
} from '../../evidence/verify/index.ts';
import { readPrivateFile, writePrivateFile } from '../../system/private-file.ts';
import { exitCodes } from '../exit-codes.ts';
import { endingSignals } from '../signals.ts';
import { downloadEvidence } from './download.ts';
import { logOfPolicy, pinnedKey } from './log-key.ts';
import { isBundle, namedDirectory, namedFile } from './source.ts';
import { identitiesIn } from './unseal.ts';

export interface KeySource {
  readonly vkey: string | undefined;
  /** File that holds it. */
  readonly file: string | undefined;
}

export interface Verified {
  readonly report: Report;
  /** Null: all sessions' recordings were looked for. */
  readonly sessions: number | null;
  /** What a bundle says of itself; null when it is none. */
  readonly bundle?: BundleReport['bundle'];
}

const keyOf = async ({ vkey, file }: KeySource): Promise<string | null> =>
  vkey ?? (file === undefined ? null : (await namedFile(file)).toString('utf8').trim());

export interface Asked {
  readonly key: KeySource;
  /** File of a checkpoint that the log must extend. */
  readonly since: string | undefined;
  /** Follow each act to the identity provider's signature. */
  readonly attribution: AttributionOptions | undefined;
  /** File with the auditor's identity. */
  readonly identity: string | undefined;
  readonly witnesses: {
    readonly vkeys: readonly string[];
    /** How many of `vkeys`; all when undefined. */
    readonly quorum: number | undefined;
    /** File of a policy, instead. */
    readonly policy: string | undefined;
  };
}

/** What `verify` is asked about witnesses, and the logs that the policy trusts. */
async function witnessesOf({ witnesses: { vkeys, quorum, policy } }: Asked): Promise<{
  readonly options: Pick<VerifyOptions, 'policy' | 'witnesses'>;
  readonly logs: readonly NoteVerifier[];
}> {
  if (policy !== undefined) {
    const bytes = await namedFile(policy);
    return { options: { policy: bytes }, logs: parsePolicy(bytes).logs };
  }
  if (vkeys.length === 0) return { options: {}, logs: [] };
  return { options: { witnesses: { vkeys, threshold: quorum ?? vkeys.length } }, logs: [] };
}

const identitiesOf = async ({ identity }: Asked): Promise<Pick<VerifyOptions, 'identities'>> =>
  identity === undefined ? {} : { identities: await identitiesIn(identity) };

/** A bundle when it is a file, else a directory. */
export async function verifyNamed(
  name: string,
  asked: Asked & { readonly partial: boolean },
): Promise<Verified> {
  return (await isBundle(name)) ? verifyFile(name, asked) : verifyDirectory(name, asked);
}

/** A bundle says itself whose recordings it holds; the report tells what is not inside. */
async function verifyFile(file: string, asked: Asked): Promise<Verified> {
  const { options, logs } = await witnessesOf(asked);
  const report = await verifyBundle({
    file,
    vkey: (await keyOf(asked.key)) ?? (await keyOfBundle(file, logs)),
    ...options,
    ...(asked.since !== undefined && { since: await namedFile(asked.since) }),
    ...(asked.attribution !== undefined && { attribution: asked.attribution }),
    ...(await identitiesOf(asked)),
  });
  return { report, sessions: report.bundle.sessions, bundle: report.bundle };
}

async function keyOfBundle(file: string, logs: readonly NoteVerifier[]): Promise<string> {
  const zip = ZipFiles.open(file);
  try {
    const at = new StoredAt(zip);
    return (await logOfPolicy(at, logs)) ?? (await pinnedKey(at, null));
  } finally {
    zip.close();
  }
}

export async function verifyDirectory(
  directory: string,
  asked: Asked & { readonly partial: boolean },
): Promise<Verified> {
  await namedDirectory(directory);
  const { options, logs } = await witnessesOf(asked);
  const vkey =
    (await keyOf(asked.key)) ?? (await logOfPolicy(directory, logs)) ?? (await pinnedKey(directory, null));
  const sessions = asked.partial ? await scopeOf(directory) : null;
  const report = await verify({
    directory,
    vkey,
    ...options,
    ...(sessions !== null && { sessions }),
    ...(asked.since !== undefined && { since: await namedFile(asked.since) }),
    ...(asked.attribution !== undefined && { attribution: asked.attribution }),
    ...(await identitiesOf(asked)),
  });
  return { report, sessions: sessions?.size ?? null };
}

/**
 * Fetches everything from the relay and verifies it with the key pinned at sign-in. Remembers the checkpoint, so that
 * the next time a log that was rolled back or forked is found out. A checkpoint that is named must be extended too.
 */
export async function verifyRelay(account: Account, asked: Asked): Promise<Verified> {
  const given = asked.since === undefined ? null : await namedFile(asked.since);
  const { options: witnesses, logs } = await witnessesOf(asked);
  const { attribution } = asked;
  const options = {
    ...witnesses,
    ...(attribution !== undefined && { attribution }),
    ...(await identitiesOf(asked)),
  };
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-verify-'));
  const keep = removeAtExit(directory);
  try {
    await downloadEvidence(account, directory, {
      choose: async () => null,
      proofs: attribution !== undefined,
    });
    const vkey =
      (await keyOf(asked.key)) ??
      (await logOfPolicy(directory, logs)) ??
      (await pinnedKey(directory, account.relay));
    const seen = await seenFile(vkey);
    const since = await readPrivateFile(seen);
    let report = await verify({ directory, vkey, ...options, ...(since !== null && { since }) });
    if (report.verified && given !== null)
      report = await verify({ directory, vkey, ...options, since: given });
    if (report.verified && report.checkpoint !== null) await writePrivateFile(seen, report.checkpoint.note);
    return { report, sessions: null };
  } finally {
    await rm(directory, { recursive: true, force: true });
    keep();
  }
}

const stop = (): never => process.exit(exitCodes.interrupted);

/** Whatever ends the program, Ctrl-C too, it leaves no evidence behind. @returns takes this back */
function removeAtExit(directory: string): () => void {
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  for (const signal of endingSignals) process.once(signal, stop);
  return () => {
    process.off('exit', remove);
    for (const signal of endingSignals) process.off(signal, stop);
  };
}

/** The last verified checkpoint of the log with this key. */
async function seenFile(vkey: string): Promise<string> {
  const directory = path.join(directories().config, 'checkpoints');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return path.join(directory, createHash('sha256').update(vkey).digest('hex').slice(0, 32));
}

/** Null when the export says that it is whole. */
async function scopeOf(directory: string): Promise<ReadonlySet<string> | null> {
  try {
    return new Set(Scope.parse(JSON.parse(await readFile(path.join(directory, scopeName), 'utf8'))).sessions);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
