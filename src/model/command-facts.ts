/**
 * What a command does, as far as it can be told before it runs: the protocol says it, policy and reviewers read it.
 *
 * - `read`: returns data. `write`: inserts, updates, merges. `delete`: removes rows. `unbounded`: changes or removes rows
 *   of a whole relation (no condition). `schema`: DDL. `privilege`: roles, grants, ownership, row security.
 * - `code`: runs code that cannot be seen through (DO, CALL, EXECUTE of a name, functions that are not known to be harmless).
 * - `file`: reads or writes the target's file system or programs. `session`: settings, locks, transactions, cursors.
 * - `copy`: COPY. `unknown`: could not be told; never together with a claim that it only reads.
 * - On a server (SSH): `shell`: an interactive shell, whose lines can only be read off the screen. `system`: the machine itself
 *   (services, disks, kernel, packages, power, other people's processes). `network`: talks to other machines. `forward`: a way
 *   through the server for other connections. `file` there: a file transfer (sftp, scp, rsync), which is not masked.
 */
export const effects = [
  'code',
  'copy',
  'delete',
  'file',
  'forward',
  'network',
  'privilege',
  'read',
  'schema',
  'session',
  'shell',
  'system',
  'unbounded',
  'unknown',
  'write',
] as const;
export type Effect = (typeof effects)[number];

/**
 * Immutable. Equal facts are one object (whoever classifies keeps them, within a bound), so that a decision can be
 * remembered by it. No effects: it does nothing (an empty query).
 * Every list is sorted and has no duplicates.
 */
export interface CommandFacts {
  readonly effects: readonly Effect[];
  /**
   * As written, folded as the target folds names: `customers`; one written with its schema stands twice:
   * `public.customers`, `customers`. A name with a dot or a quote in it is quoted: `"a.b"`. Which relation a bare name is,
   * only the target knows.
   */
  readonly relations: readonly string[];
  /** Like relations: functions that it calls by name. */
  readonly functions: readonly string[];
  /** Programs that it starts (SSH, COPY … PROGRAM). */
  readonly programs: readonly string[];
  /**
   * Absolute or as written: files that it names, each with every directory above it, which ends in `/`: `/etc/shadow`, `/etc/`,
   * `/`. So a policy asks with `contains` whether something under a directory is touched. Absent: none (SQL).
   */
  readonly paths?: readonly string[];
  /** `host:port` that a forwarding leads to. Absent: none. */
  readonly destinations?: readonly string[];
}

/** Facts of a command of which nothing could be told. */
export const unknownFacts: CommandFacts = Object.freeze({
  effects: Object.freeze(['unknown'] as const),
  relations: Object.freeze([]),
  functions: Object.freeze([]),
  programs: Object.freeze([]),
});
