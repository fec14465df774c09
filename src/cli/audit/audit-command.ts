/** Base of the audit commands: `--dir`, the filters, and the source that they mean. */
import * as Flags from '@oclif/core/flags';
import type { Account } from '../../agent/account.ts';
import type { AuditQuery } from '../../wire/audit.ts';
import { RelayCommand, type RelayFlags } from '../relay-command.ts';
import { parseMoment } from './moment.ts';
import { isBundle, LocalSource, namedEvidence, RelaySource, type AuditSource } from './source.ts';
import { StoredAt } from '../../evidence/location.ts';
import { ZipFiles } from '../../evidence/bundle/zip-reader.ts';

export const dirFlag = {
  dir: Flags.string({
    description: 'read this evidence directory, export or bundle (FILE.zip) instead of a relay',
    parse: namedEvidence,
    helpValue: 'DIR',
  }),
};

export const rangeFlags = {
  from: Flags.string({
    description: 'not before this time (2026-11-21, 2026-11-21T09:30Z, or 2h for two hours ago)',
  }),
  to: Flags.string({ description: 'before this time' }),
  person: Flags.string({ description: 'of this person: e-mail address or subject' }),
  target: Flags.string({ description: 'at this target' }),
  task: Flags.string({ description: 'of this task and its sub-tasks' }),
};

export const outcomeFlag = {
  outcome: Flags.string({
    description: 'that ended like this, for example succeeded or failed; sessions: killed, open',
  }),
};

type Given = {
  readonly [Name in 'from' | 'to' | 'person' | 'target' | 'task' | 'outcome' | 'session']?:
    string | undefined;
};

/** @throws DurationError `duration-invalid` */
export function queryOf({ from, to, person, target, task, outcome, session }: Given): AuditQuery {
  const now = new Date();
  return {
    ...(from !== undefined && { from: parseMoment(from, now) }),
    ...(to !== undefined && { to: parseMoment(to, now) }),
    ...(person !== undefined && { person }),
    ...(target !== undefined && { target }),
    ...(task !== undefined && { task }),
    ...(outcome !== undefined && { outcome }),
    ...(session !== undefined && { session }),
  };
}

/** The filters as they were typed. */
export function askedIn(given: Given): Record<string, string> {
  const names = ['from', 'to', 'person', 'target', 'task', 'outcome', 'session'] as const;
  return Object.fromEntries(
    names.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  );
}

export abstract class AuditCommand extends RelayCommand {
  /** The account is null with `--dir`. */
  protected async withSource<T>(
    flags: RelayFlags & { readonly dir?: string | undefined },
    work: (source: AuditSource, account: Account | null) => Promise<T>,
  ): Promise<T> {
    const { dir } = flags;
    if (dir !== undefined && (await isBundle(dir))) {
      const zip = ZipFiles.open(dir);
      try {
        return await work(new LocalSource(new StoredAt(zip), dir), null);
      } finally {
        zip.close();
      }
    }
    if (dir !== undefined) return work(new LocalSource(dir, dir), null);
    return this.withAccount(flags, (account) =>
      work(
        RelaySource.of(account, (line) => this.note(line)),
        account,
      ),
    );
  }

  /** Writes a piece of the result and waits while the reader of stdout is behind. */
  protected async write(text: string): Promise<void> {
    if (process.stdout.write(text)) return;
    await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}
