/**
 * Host keys for OpenSSH, in a file of hoop's own: what `NAME.hoop` shows is the relay's end, whose key the relay has told
 * over its authenticated API. Written before ssh gets its first byte, by any number of processes.
 */
import path from 'node:path';
import { readPrivateFile, writePrivateFile } from '../system/private-file.ts';
import { withProcessLock } from '../system/process-lock.ts';

const suffix = '.hoop';
const lockTimeoutMs = 10_000;

/** How ssh calls a target. */
export const sshHost = (target: string): string => `${target}${suffix}`;

/** `server` of `server`, `server.hoop` and `Server.Hoop`: ssh gives names as they were typed. */
export function targetOfHost(host: string): string {
  const name = host.toLowerCase();
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** @param config `Directories.config` */
export const knownHostsFile = (config: string): string => path.join(config, 'known_hosts');

/** Names the target's key, in place of any other. @returns the file */
export async function rememberHostKey(config: string, target: string, hostKey: string): Promise<string> {
  const file = knownHostsFile(config);
  const [host, line] = [sshHost(target), `${sshHost(target)} ${hostKey}`];
  const linesNow = async (): Promise<string[]> =>
    ((await readPrivateFile(file)) ?? Buffer.alloc(0)).toString('utf8').split('\n').filter(Boolean);
  // Nearly always: nothing to change, nothing to wait for.
  if ((await linesNow()).includes(line)) return file;
  await withProcessLock(`${file}.lock`, lockTimeoutMs, async () => {
    const others = (await linesNow()).filter((each) => each.split(' ')[0] !== host);
    await writePrivateFile(file, [...others, line, ''].join('\n'));
  });
  return file;
}
