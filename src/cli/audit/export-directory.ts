/**
 * `hoop audit export --out DIR`: evidence that verifies, and the same history for people and programs:
 * `log/`, `recordings/`, `logins/` and `issuers/` (what proves the sign-ins of whoever acted), `events.jsonl`, `events.csv`,
 * `vkey`; with filters also `scope.json`, the sessions whose recordings are here (the log is always whole: its proofs need it).
 */
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Account } from '../../agent/account.ts';
import { scopeName } from '../../evidence/bundle/manifest.ts';
import { format } from '../../evidence/export/formats.ts';
import type { AuditQuery } from '../../wire/audit.ts';
import { downloadEvidence, type Downloaded } from './download.ts';
import { pinnedKey } from './log-key.ts';
import { AuditError, LocalSource } from './source.ts';

export interface ExportedDirectory extends Downloaded {
  readonly directory: string;
  /** Sessions whose recordings are there; null: all. */
  readonly sessions: readonly string[] | null;
}

/** @param directory new, or empty */
export async function exportDirectory(
  account: Account,
  directory: string,
  query: AuditQuery,
): Promise<ExportedDirectory> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0)
    throw new AuditError('export-exists', `${directory} is not empty`, { hint: 'name a new directory' });
  try {
    return await fill(account, directory, query);
  } catch (error) {
    // It was empty: half an export would stand in the way of the next try, or pass for a whole one.
    for (const name of await readdir(directory)) await rm(path.join(directory, name), { recursive: true });
    throw error;
  }
}

async function fill(account: Account, directory: string, query: AuditQuery): Promise<ExportedDirectory> {
  const source = new LocalSource(directory, directory);
  const filtered = Object.keys(query).length > 0;
  const wanted = filtered ? new Set<string>() : null;
  const choose = async () => {
    if (wanted === null) return null;
    const { outcome: _ofCommands, ...ofSessions } = query;
    for (const { session } of await source.sessions(ofSessions)) wanted.add(session);
    return wanted;
  };
  const downloaded = await downloadEvidence(account, directory, { choose, proofs: true });
  await writeFile(path.join(directory, 'vkey'), `${await pinnedKey(directory, account.relay)}\n`);
  for (const form of ['jsonl', 'csv'] as const)
    await pipeline(
      Readable.from(format(source.events(query), form), { objectMode: false }),
      createWriteStream(path.join(directory, `events.${form}`)),
    );
  const sessions = wanted === null ? null : [...wanted];
  if (sessions !== null)
    await writeFile(path.join(directory, scopeName), `${JSON.stringify({ sessions })}\n`);
  return { directory, ...downloaded, sessions };
}
