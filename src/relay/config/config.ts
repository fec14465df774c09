/**
 * The relay's configuration: one file, `relay.yaml`, read and validated as a whole before anything starts. What is
 * unknown, misspelt or contradictory is refused with file, line, column and path; no option weakens a fail-closed rule.
 * Described in docs/configuration.md.
 *
 * This folder reads files and the environment; it opens no socket and keeps no secret: credentials are references that
 * are resolved when they are used.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import type { OriginalsPolicy } from '../../evidence/recording/originals.ts';
import type { MachineRule } from '../../identity/machine-token.ts';
import type { GroupsMap } from '../../identity/groups.ts';
import type { CompiledConfig } from '../../masking/masking.ts';
import type { TargetName } from '../../model/ids.ts';
import { ConfigDocument } from './document.ts';
import { ConfigError, formatConfigProblem } from './error.ts';
import type { ConfigProblem } from './error.ts';
import { prepareEmbedded } from './embedded.ts';
import type { ArchiveConfig } from './archive.ts';
import type { RetentionRules } from './retention.ts';
import type { StreamConfig } from './streams.ts';
import type { LogConfig } from './log-schema.ts';
import { RelayFile } from './schema.ts';
import { ruleProblems, type RuleProblem } from './rules.ts';
import { resolveConfig } from './resolve.ts';
import { refuseIfOthersWrite } from './secret-file.ts';
import type { SecretReference, Setting } from './secret.ts';
import type { TargetConfig } from './targets.ts';
import type { UpstreamConfig } from './upstream.ts';
import type { Threshold } from '../space/measure.ts';

/** Everything that a relay needs to know to start. Paths are absolute, defaults filled in. */
export interface RelayConfig {
  /** Where it came from; `digest` is the SHA-256 of the file's bytes, hex. */
  readonly source: { readonly file: string; readonly digest: string };
  readonly listen: { readonly host: string; readonly port: number };
  /** Base URL as clients write it, without trailing slash and path. */
  readonly publicUrl: string;
  /** Null: plain HTTP, on loopback or behind a proxy. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** Null: the peer's address is the client's. Else addresses and networks whose `X-Forwarded-*` is believed. */
  readonly behindProxy: { readonly trusted: readonly string[] } | null;
  readonly dataDir: string;
  /** Keys that the relays of one installation share. */
  readonly keys: { readonly directory: string };
  readonly log: LogConfig;
  readonly logging: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
  /** Who may read `/metrics`. */
  readonly metrics: { readonly allow: readonly string[] };
  readonly evidence: {
    /** Holds `log/` and `recordings/`. */
    readonly directory: string;
    readonly durability: 'process' | 'disk';
    readonly syncTimeoutMs: number;
    /** Closed segments that may wait for compression. */
    readonly backlogBytes: number;
    /** When little room for the record is told, and how much is held back. */
    readonly space: { readonly warn: Threshold; readonly critical: Threshold; readonly reserveBytes: number };
    /** What becomes of the originals of masked values; null: nothing is masked. */
    readonly originals: OriginalsPolicy | null;
    /** Where evidence is kept apart from the relay; null: nowhere. */
    readonly archive: ArchiveConfig | null;
    /** How long recordings are kept. */
    readonly retention: RetentionRules;
    /** Where the history is sent as it happens. */
    readonly streams: readonly StreamConfig[];
  };
  readonly state: StateConfig;
  readonly identity: IdentityConfig;
  /** `identity.machines`. */
  readonly machines: readonly MachineRule[];
  readonly tokens: {
    /** Of an access token; it is renewed silently until `signInLifetimeMs` after the sign-in. */
    readonly lifetimeMs: number;
    /** The embedded provider asks for the password again after this. */
    readonly signInLifetimeMs: number;
  };
  readonly sessions: {
    readonly defaultDurationMs: number;
    readonly maxDurationMs: number;
    /** How long a session outlives its tunnel. */
    readonly detachedMs: number;
    /** How long live sessions may go on after SIGTERM. */
    readonly drainMs: number;
  };
  readonly reviews: {
    /** A held command that nobody has decided by then is refused; never later than the session's deadline. */
    readonly expiresAfterMs: number;
    readonly webhooks: readonly WebhookConfig[];
  };
  /** What is masked for whom; `compileMasking` makes a session's masking of it. */
  readonly masking: CompiledConfig;
  readonly limits: { readonly statementBytes: number };
  readonly policies: readonly string[];
  readonly targets: ReadonlyMap<TargetName, TargetConfig>;
}

/** `url` of PostgreSQL holds a password: it is a reference. */
export type StateConfig =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: SecretReference };

export type IdentityConfig =
  /** `upstream`: where people sign in; null: at the embedded provider itself. */
  | { readonly kind: 'embedded'; readonly upstream: UpstreamConfig | null }
  | {
      readonly kind: 'oidc';
      readonly issuer: string;
      readonly clientId: string;
      /** Told to every CLI, as the provider wants it from them: it proves nothing. Null: a public client. */
      readonly clientSecret: SecretReference | null;
      readonly scopes: readonly string[];
      readonly groupsClaim: string;
      readonly groupsMap: GroupsMap;
      readonly clockSkewSeconds: number;
    };

export interface WebhookConfig {
  /** A reference where the URL itself is a secret, as Slack's are. */
  readonly url: Setting;
  /** Null only for `slack`: its messages need no signature. */
  readonly secret: SecretReference | null;
  readonly format: 'json' | 'slack';
  /** Only reviews that need one of these groups; empty: all. */
  readonly groups: readonly string[];
  /** The beginning of the command's text goes along, without its literals. */
  readonly includeText: boolean;
}

/**
 * Reads and validates a configuration. With null: the embedded default, whose files are written at its first use.
 * @throws ConfigError `config-unreadable`, `config-invalid`, `config-exposed`
 * @throws PrivateFileError `private-path-unsafe`
 */
export async function loadConfig(file: string | null): Promise<RelayConfig> {
  const name = path.resolve(file ?? (await prepareEmbedded(process.env)));
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (cause) {
    throw new ConfigError('config-unreadable', `cannot read the configuration ${name}`, { cause });
  }
  const config = parseConfig(name, text);
  for (const trusted of [name, ...config.policies]) refuseIfOthersWrite(trusted);
  return config;
}

/**
 * Validates a configuration's text; `file` names it in messages, and relative paths start at its directory.
 * @throws ConfigError `config-invalid` with every problem found
 */
export function parseConfig(file: string, text: string): RelayConfig {
  const parsed = validateDocument(file, text, { schema: RelayFile, rules: ruleProblems });
  const digest = createHash('sha256').update(text).digest('hex');
  return resolveConfig({ file, digest }, parsed);
}

/**
 * The value of a YAML document that has a shape and keeps rules; `file` names it in messages.
 * @throws ConfigError `config-invalid` with every problem found
 */
export function validateDocument<Schema extends z.ZodType>(
  file: string,
  text: string,
  {
    schema,
    rules,
  }: { readonly schema: Schema; readonly rules: (value: z.output<Schema>) => Iterable<RuleProblem> },
): z.output<Schema> {
  const document = new ConfigDocument(text);
  if (document.problems.length > 0) throw invalid(file, document.problems);
  const parsed = schema.safeParse(document.value);
  if (!parsed.success)
    throw invalid(
      file,
      parsed.error.issues.flatMap((issue) => problemsOf(document, issue)),
    );
  const problems = [...rules(parsed.data)].map(({ path: where, message }) => {
    const { line, column } = document.valueAt(where);
    return { line, column, path: where.join('.'), message };
  });
  if (problems.length > 0) throw invalid(file, problems);
  return parsed.data;
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

function problemsOf(document: ConfigDocument, issue: Issue): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, index) => {
      const where = [...issue.path, key];
      return { ...document.keyAt(where), path: where.join('.'), message: messages[index] ?? 'unknown key' };
    });
  }
  const where = issue.path.join('.');
  if (issue.code === 'invalid_key')
    return [{ ...document.keyAt(issue.path), path: where, message: `expected ${nameRule}` }];
  if (document.has(issue.path))
    return [{ ...document.valueAt(issue.path), path: where, message: issue.message }];
  return [{ ...document.keyAt(issue.path), path: where, message: `missing: ${issue.message}` }];
}

const nameRule = 'a name of at most 63 of a–z, 0–9 and -, beginning with a letter or digit';

function invalid(file: string, problems: readonly ConfigProblem[]): ConfigError {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : '';
  const first = sorted[0] === undefined ? file : formatConfigProblem(file, sorted[0]);
  return new ConfigError('config-invalid', `the configuration cannot be used: ${first}${more}`, {
    file,
    problems: sorted,
    hint: 'docs/configuration.md lists every key',
  });
}
