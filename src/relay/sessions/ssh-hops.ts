/** A configured server as the protocol takes it: secrets are read when they are used. */
import type { SshHop } from '../../protocols/ssh/target.ts';
import type { SshAccess } from '../config/targets.ts';

export const hopOf = (
  { host, port, privateKey, passphrase, password }: SshAccess,
  user: string,
  hostKeys: readonly string[],
): SshHop => ({
  host,
  port,
  user,
  hostKeys,
  privateKey: () => privateKey?.resolve() ?? null,
  passphrase: () => passphrase?.resolve() ?? null,
  password: () => password?.resolve() ?? null,
});
