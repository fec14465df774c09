/**
 * The policies that a relay decides by, and their replacement while it runs: read and validated as at a start, told in the
 * log (`config.changed`), then in force at once, for the next question of everybody. Whatever is wrong, the old ones stay.
 *
 * The files are those that the relay was started with; what else changed in `relay.yaml` takes effect at the next start.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { relayActor } from '../evidence/entry.ts';
import type { NewEntry } from '../evidence/entry.ts';
import { Policies } from '../policy/policies.ts';
import type { RelayConfig } from './config/config.ts';
import { refuseIfOthersWrite } from './config/secret-file.ts';
import type { RelayLogger } from './logging.ts';
import { problemLines } from './problem-lines.ts';

/** What a reload did. */
export interface Reloaded {
  /** False: the files are what they were. */
  readonly changed: boolean;
  readonly digest: string;
  readonly files: readonly string[];
  /** Number of policies. */
  readonly policies: number;
  /** Sessions that ended because they could not be opened now. */
  readonly sessionsEnded: number;
  readonly warnings: readonly string[];
}

export interface PoliciesInForceOptions {
  readonly config: Pick<RelayConfig, 'policies' | 'source'>;
  readonly logger: RelayLogger;
  /** Resolves when the entry is durable. */
  readonly append: (entry: NewEntry) => Promise<unknown>;
}

export class PoliciesInForce {
  readonly #options: PoliciesInForceOptions;
  #current: Policies;
  #digest: string;
  /** Ends the sessions that the new policies do not allow. @returns how many */
  onReplaced: () => number = () => 0;
  /** One reload at a time, in order. */
  #reloading: Promise<unknown> = Promise.resolve();

  /** @param loaded of `config.policies`; closed when they are replaced */
  constructor(loaded: Policies, options: PoliciesInForceOptions) {
    this.#options = options;
    this.#current = loaded;
    this.#digest = digestOf(options.config, loaded);
  }

  get current(): Policies {
    return this.#current;
  }

  /**
   * Replaces the policies by what their files say now.
   * @throws PolicyError, ConfigError `config-exposed`, EvidenceError: the old ones stay
   */
  reload(): Promise<Reloaded> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  async #reload(): Promise<Reloaded> {
    const { config, logger } = this.#options;
    try {
      const reloaded = await this.#replace(loadPolicies(config));
      const warnings = [...this.#current.warnings, ...(await changedElsewhere(config))];
      for (const warning of warnings) logger.warn('policy warning', { reason: warning });
      const { digest, sessionsEnded } = reloaded;
      const reason = reloaded.changed ? 'replaced' : 'unchanged';
      logger.info('policies reloaded', { reason, digest, count: sessionsEnded });
      return { ...reloaded, warnings };
    } catch (error) {
      for (const problem of problemLines(error).slice(0, 20))
        logger.error('policy problem', { reason: problem });
      logger.error('policies not reloaded, the old ones stay', {}, error);
      throw error;
    }
  }

  async #replace(next: Policies): Promise<Omit<Reloaded, 'warnings'>> {
    const { config, append } = this.#options;
    const previousDigest = this.#digest;
    const digest = digestOf(config, next);
    const facts = { digest, files: config.policies, policies: next.ids.length };
    if (digest === previousDigest) {
      next.close();
      return { ...facts, changed: false, sessionsEnded: 0 };
    }
    try {
      await append({ kind: 'config.changed', actor: relayActor, configDigest: digest, previousDigest });
    } catch (error) {
      next.close();
      throw error;
    }
    const before = this.#current;
    this.#current = next;
    this.#digest = digest;
    // Nobody holds a set over an await: whoever asks has just got the current one.
    before.close();
    return { ...facts, changed: true, sessionsEnded: this.onReplaced() };
  }
}

/** Reads and validates the policies of a configuration. @throws PolicyError, ConfigError `config-exposed` */
export function loadPolicies({ policies }: Pick<RelayConfig, 'policies'>): Policies {
  for (const file of policies) refuseIfOthersWrite(file);
  return Policies.load(policies);
}

/**
 * What the log calls the configuration: `sha256sum relay.yaml POLICY… | sha256sum` of the files by their absolute names, in
 * the order of `policies`.
 */
export function digestOf({ source }: Pick<RelayConfig, 'source'>, policies: Policies): string {
  const files = [{ name: source.file, sha256: source.digest }, ...policies.files];
  const sums = files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
  return createHash('sha256').update(sums).digest('hex');
}

async function changedElsewhere({ source }: Pick<RelayConfig, 'source'>): Promise<string[]> {
  const bytes = await readFile(source.file).catch(() => null);
  const digest = bytes === null ? null : createHash('sha256').update(bytes.toString()).digest('hex');
  return digest === source.digest ? [] : [`${source.file} has changed: that takes effect at the next start`];
}
