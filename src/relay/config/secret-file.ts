/** Whom the files that the operator provides can be trusted to: passwords, private keys, and the rules themselves. */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { ConfigError } from './error.ts';

/**
 * Reads a secret, after checking on the open file that nobody else can read or change it: owned by this user or root,
 * nothing for others, no write for the group (secret mounts of orchestrators are often `root:group 0440`).
 * @throws ConfigError `secret-unavailable`, `secret-exposed`
 */
export function readSecretFile(file: string, limitBytes: number): Buffer {
  const descriptor = openSecret(file);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new ConfigError('secret-unavailable', `${file} is not a file`);
    const me = process.getuid?.();
    if (me !== undefined && ((stat.mode & 0o027) !== 0 || (stat.uid !== me && stat.uid !== 0)))
      throw new ConfigError('secret-exposed', `${file} holds a secret that other users can read or change`, {
        hint: `make the relay's user its owner, then: chmod 600 ${file}`,
      });
    if (stat.size > limitBytes)
      throw new ConfigError('secret-unavailable', `${file} is too large for a secret`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function openSecret(file: string): number {
  try {
    // Without O_NONBLOCK a FIFO in place of the file would hold the relay's start for ever.
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new ConfigError('secret-unavailable', `cannot read ${file}`, { cause });
  }
}

/**
 * Refuses a configuration or policy file that everybody may change. A file that is not there is left to its reader.
 * @throws ConfigError `config-exposed`
 */
export function refuseIfOthersWrite(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat !== undefined && (stat.mode & 0o002) !== 0)
    throw new ConfigError('config-exposed', `${file} can be changed by everybody on this machine`, {
      hint: `chmod o-w ${file}`,
    });
}
