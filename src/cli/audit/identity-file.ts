/** `hoop audit keygen`: an age identity (X25519) in a file of its own, in the form of `age-keygen`. */
import { open } from 'node:fs/promises';
import path from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { hasErrno } from '../../errors.ts';
import { AuditError } from './source.ts';

/**
 * Makes an identity and writes it to a new file, 0600.
 * @throws AuditError `identity-exists`
 */
export async function newIdentity(file: string): Promise<{ file: string; recipient: string }> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    throw new AuditError('identity-exists', `${file} exists already, and an identity is never overwritten`, {
      hint: 'name another file: --out FILE',
    });
  }
  return { file: path.resolve(file), recipient };
}
