/** What can be wrong with an SSH target before anybody connects. */
import ssh2 from 'ssh2';
import type { RelayConfig } from './config/config.ts';
import { ConfigError } from './config/error.ts';
import { settingValue } from './config/secret.ts';
import type { SshAccess, SshTargetConfig } from './config/targets.ts';
import { pinnedKeys } from './host-keys.ts';

const { utils } = ssh2;

/** @throws ConfigError `secret-unavailable`, `secret-exposed` */
export function checkSshTarget(
  config: RelayConfig,
  target: SshTargetConfig,
): string | { readonly warnings: readonly string[] } {
  for (const { user } of [...target.logins, ...target.jump]) settingValue(user);
  for (const access of [target, ...target.jump]) checkCredential(access);
  const servers = [null, ...target.jump.keys()];
  const unknown = servers.filter((hop) => pinnedKeys(config, target, hop).length === 0);
  if (unknown.length === 0) return 'credential can be read, host key pinned';
  return { warnings: [`no host key is pinned, so nobody can connect: hoop relay trust ${target.name}`] };
}

function checkCredential({ privateKey, passphrase, password }: SshAccess): void {
  password?.resolve();
  if (privateKey === null) return;
  const key = utils.parseKey(privateKey.resolve(), passphrase?.resolve());
  if (key instanceof Error)
    throw new ConfigError(
      'secret-unavailable',
      `${privateKey.toString()} is no private key that can be used`,
    );
}
