/**
 * Host keys of targets that an operator has accepted with `hoop relay trust`: a file in the keys' directory, a line a key,
 * `TARGET[/HOP] TYPE BASE64`. Keys in `relay.yaml` go before it. Nothing is ever accepted by connecting.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../errors.ts';
import { ensurePrivateDirectory } from '../system/private-file.ts';
import type { RelayConfig } from './config/config.ts';
import type { SshTargetConfig } from './config/targets.ts';

const nameOf = (target: string, hop: number | null): string =>
  hop === null ? target : `${target}/${hop + 1}`;
const fileOf = ({ keys }: Pick<RelayConfig, 'keys'>): string => path.join(keys.directory, 'target_host_keys');

/**
 * The keys that a server may show, `type base64`; empty: none is pinned.
 * @param hop index of a jump host; null: the target itself
 */
export function pinnedKeys(
  config: Pick<RelayConfig, 'keys'>,
  target: SshTargetConfig,
  hop: number | null,
): string[] {
  const configured = hop === null ? target.hostKeys : (target.jump[hop]?.hostKeys ?? null);
  if (configured !== null) return [...configured];
  const name = nameOf(target.name, hop);
  return readLines(fileOf(config)).flatMap((line) =>
    line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : [],
  );
}

/** Replaces what was kept for this server. */
export async function keepKey(
  config: Pick<RelayConfig, 'keys'>,
  target: string,
  hop: number | null,
  key: string,
): Promise<void> {
  await ensurePrivateDirectory(config.keys.directory); // before the first start there is none
  const file = fileOf(config);
  const name = nameOf(target, hop);
  const lines = readLines(file).filter((line) => !line.startsWith(`${name} `));
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(temporary, `${[...lines, `${name} ${key}`].join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  await rename(temporary, file);
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
