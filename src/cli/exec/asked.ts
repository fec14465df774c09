/** What `hoop exec` was asked for, whatever the target is; and what each kind of target has no use for. */
import { AgentError } from '../../agent/error.ts';
import type { SessionWish } from '../../agent/session-client.ts';

export const sqlFormats = ['table', 'csv', 'json'] as const;
export type SqlFormat = (typeof sqlFormats)[number];

export interface Asked {
  readonly wish: SessionWish;
  /** After `--`; null: nothing. */
  readonly words: readonly string[] | null;
  /** One command line, as it is. */
  readonly shell: boolean;
  /** Null: as it fits. */
  readonly tty: boolean | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly timeoutMs: number | null;
  /** SQL from this file. */
  readonly file: string | null;
  readonly format: SqlFormat | null;
  /** Everything in one document at the end. */
  readonly json: boolean;
}

/** @throws AgentError `target-unsuitable` */
export function refuseForServers({ file, format, wish }: Asked): void {
  if (file !== null) throw unsuitable('--file', wish.target, 'databases');
  if (format !== null) throw unsuitable('--format', wish.target, 'databases');
}

/** @throws AgentError `target-unsuitable` */
export function refuseForDatabases({ shell, tty, environment, wish }: Asked): void {
  if (shell) throw unsuitable('--shell', wish.target, 'servers');
  if (tty === true) throw unsuitable('--tty', wish.target, 'servers');
  if (Object.keys(environment).length > 0) throw unsuitable('--env', wish.target, 'servers');
}

const unsuitable = (flag: string, target: string, kind: string): AgentError =>
  new AgentError('target-unsuitable', `${flag} is for ${kind}, and ${target} is none`, {
    hint: 'see what it is: hoop targets',
  });

/** `NAME=value` of `--env`. Null: it is not. */
export function variablesOf(pairs: readonly string[]): Record<string, string> | null {
  const found = pairs.map((pair) => /^([A-Za-z_][A-Za-z0-9_]{0,255})=([^]*)$/.exec(pair));
  if (found.some((match) => match === null)) return null;
  return Object.fromEntries(found.map((match) => [match![1]!, match![2]!]));
}
