/** Keys that this process never sees: a program or a PKCS#11 token signs with them. */
import type { CheckpointSigner } from '../../evidence/log/note.ts';
import type { LogKeyConfig } from '../config/log-schema.ts';
import { CommandKey } from './command.ts';
import { ExternalSigner } from './external-signer.ts';
import { Pkcs11Key } from './pkcs11.ts';

export interface OpenedSigner {
  readonly signer: CheckpointSigner;
  close(): Promise<void>;
}

/**
 * @param origin of the log
 * @throws SignerError, ConfigError `secret-unavailable`, `secret-exposed`
 */
export async function openSigner(
  key: Exclude<LogKeyConfig, { kind: 'file' }>,
  origin: string,
): Promise<OpenedSigner> {
  if (key.kind === 'command') {
    const command = new CommandKey(key.argv);
    const signer = new ExternalSigner(key.verifier, (message) => command.sign(message));
    return { signer, close: async () => undefined };
  }
  const token = await Pkcs11Key.open(key);
  const signer = new ExternalSigner(token.verifier(origin), (message) => token.sign(message));
  return { signer, close: () => token.close() };
}
