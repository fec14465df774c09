/**
 * Credentials by reference: the configuration says where a secret is (`env:NAME` or `file:PATH`), never what it is.
 * It is read when it is used, so that a rotated file works without a restart, and is kept by nobody.
 */
import path from 'node:path';
import { ConfigError } from './error.ts';
import { readSecretFile } from './secret-file.ts';

/** Far above any password or connection string. */
const limitBytes = 65_536;

/** Where a secret is. Printing, logging and JSON show the reference. */
export class SecretReference {
  readonly kind: 'env' | 'file';
  /** Name of the variable, or absolute path. */
  readonly name: string;

  private constructor(kind: 'env' | 'file', name: string) {
    this.kind = kind;
    this.name = name;
  }

  /** Reads `env:NAME` or `file:PATH` (relative to `directory`); null for anything else. */
  static parse(text: string, directory: string): SecretReference | null {
    const match = /^(env|file):(.+)$/su.exec(text);
    if (match === null) return null;
    if (match[1] === 'file') return new SecretReference('file', path.resolve(directory, match[2]!));
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(match[2]!) ? new SecretReference('env', match[2]!) : null;
  }

  toString(): string {
    return `${this.kind}:${this.name}`;
  }

  toJSON(): string {
    return this.toString();
  }

  /**
   * The secret, read now. One line end at the end of a file is not part of it.
   * @throws ConfigError `secret-unavailable`, `secret-exposed`
   */
  resolve(environment: NodeJS.ProcessEnv = process.env): string {
    const value =
      this.kind === 'env'
        ? environment[this.name]
        : readSecretFile(this.name, limitBytes)
            .toString('utf8')
            .replace(/\r?\n$/, '');
    if (value === undefined || value === '')
      throw new ConfigError('secret-unavailable', `${this.toString()} is not set or empty`);
    return value;
  }
}

/** A value that may stand in the configuration itself or be referred to. */
export type Setting = string | SecretReference;

/** @throws ConfigError `secret-unavailable`, `secret-exposed` */
export const settingValue = (setting: Setting): string =>
  typeof setting === 'string' ? setting : setting.resolve();

/** A reference that the rules have let through. */
export function reference(text: string, base: string): SecretReference {
  const parsed = SecretReference.parse(text, base);
  if (parsed === null) throw new TypeError('a reference that the rules let through');
  return parsed;
}
