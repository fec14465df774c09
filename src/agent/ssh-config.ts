/**
 * hoop in the person's own ssh configuration: a file of hoop's own, and one `Include` line of it at the beginning of
 * `~/.ssh/config`, of which every other byte stays as it is.
 */
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import path from 'node:path';
import { HoopError, hasErrno } from '../errors.ts';
import { writePrivateFile } from '../system/private-file.ts';
import { knownHostsFile } from './known-hosts.ts';
import { configOfTargets, configValue } from './ssh-client.ts';

export class SshConfigError extends HoopError<'ssh-config-unwritable'> {}

export interface SshConfig {
  /** hoop's own file, and its content. */
  readonly file: string;
  readonly content: string;
  /** The person's, and the line that leads from there to hoop's. */
  readonly userFile: string;
  readonly include: string;
}

/**
 * @param program hoop, as it is run
 * @param flags for `hoop proxy`
 */
export function sshConfig(
  config: string,
  program: readonly string[],
  flags: readonly string[] = [],
): SshConfig {
  const file = path.join(config, 'ssh_config');
  return {
    file,
    content: `# Written by hoop ssh-config --write\n${configOfTargets(knownHostsFile(config), [...program, 'proxy', ...flags])}`,
    userFile: path.join(homedir(), '.ssh', 'config'),
    include: `Include ${configValue(file)}`,
  };
}

/** Where ssh itself looks, whatever HOME says; null: in `userFile`. */
export function otherHome({ userFile }: SshConfig): string | null {
  const real = path.join(userInfo().homedir, '.ssh', 'config');
  return real === userFile ? null : real;
}

/** True when the person's file leads to hoop's, and hoop's is there. */
export async function isInstalled({ file, userFile, include }: SshConfig): Promise<boolean> {
  try {
    await stat(file);
    return includes(await readFile(userFile, 'utf8'), include);
  } catch {
    return false;
  }
}

/**
 * Writes both. Idempotent.
 * @returns true when the person's file was changed
 * @throws SshConfigError; PrivateFileError
 */
export async function installSshConfig({ file, content, userFile, include }: SshConfig): Promise<boolean> {
  await writePrivateFile(file, content);
  try {
    await mkdir(path.dirname(userFile), { recursive: true, mode: 0o700 });
    // A link into somebody's dotfiles stays a link.
    const target = await realpath(userFile).catch((error: unknown) => {
      if (hasErrno(error, 'ENOENT')) return userFile;
      throw error;
    });
    const before = await readFile(target).catch((error: unknown) => {
      if (hasErrno(error, 'ENOENT')) return null;
      throw error;
    });
    if (before !== null && includes(before.toString('latin1'), Buffer.from(include).toString('latin1')))
      return false;
    const mode = before === null ? 0o600 : (await lstat(target)).mode & 0o777;
    // In front: behind a `Host` line it would count for that host alone.
    await replace(target, Buffer.concat([Buffer.from(`${include}\n`), before ?? Buffer.alloc(0)]), mode);
    return true;
  } catch (cause) {
    throw new SshConfigError('ssh-config-unwritable', `${userFile} cannot be changed`, {
      hint: `put this line at its beginning yourself: ${include}`,
      cause,
    });
  }
}

/** Before the first `Host` or `Match`, where it counts for every host. */
function includes(text: string, include: string): boolean {
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === include) return true;
    if (/^(host|match)\b/i.test(line)) return false;
  }
  return false;
}

async function replace(file: string, content: Buffer, mode: number): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.datasync();
    await handle.close();
    await chmod(temporary, mode);
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}
