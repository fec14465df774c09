import { HoopError } from '../../errors.ts';

/**
 * - `config-unreadable`: the configuration file cannot be read.
 * - `config-invalid`: it is not what the relay takes; `problems` says where and why. The relay does not start.
 * - `config-exposed`: everybody may change the configuration or a policy file.
 * - `secret-unavailable`: a credential that the configuration refers to is not there, empty, or too large.
 * - `secret-exposed`: a file with a secret or a private key can be read or changed by other users.
 */
export type ConfigErrorCode =
  'config-unreadable' | 'config-invalid' | 'config-exposed' | 'secret-unavailable' | 'secret-exposed';

/** One thing wrong in the configuration; line and column count from 1. Never holds a value of the file. */
export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  /** `targets.db-prod.tls.mode`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** A configuration that the relay refuses. */
export class ConfigError extends HoopError<ConfigErrorCode> {
  /** In order of place; empty for all codes but `config-invalid`. */
  readonly problems: readonly ConfigProblem[];
  /** The file that has the problems; null when it is about something else. */
  readonly file: string | null;

  constructor(
    code: ConfigErrorCode,
    message: string,
    options: { file?: string; problems?: readonly ConfigProblem[]; hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.problems = options.problems ?? [];
    this.file = options.file ?? null;
  }
}

/** `file:line:column: path: message`, the form that editors and terminals make clickable. */
export const formatConfigProblem = (file: string, problem: ConfigProblem): string =>
  `${file}:${problem.line}:${problem.column}: ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`;
