/** Run by keychain.test.ts under a session bus of its own: what a `hoop` process sees of the system's store. */
import { readdir } from 'node:fs/promises';
import { openKeychain } from '../../src/system/keychain-choice.ts';
import { KeychainError } from '../../src/system/keychain.ts';

const [directory = '', phase] = process.argv.slice(2);
const account = 'https://relay.example';
const keychain = await openKeychain({ directory, warn: () => undefined, environment: process.env });
const files = () => readdir(directory).catch(() => []);
const read = () =>
  keychain.getPassword('hoop-test', account).catch((error: unknown) => {
    if (error instanceof KeychainError) return error.code;
    throw error;
  });

const absent = phase === 'delete' ? undefined : await keychain.getPassword('hoop-test', 'nobody');
if (phase === 'write') {
  await keychain.setPassword('hoop-test', account, 'first');
  await keychain.setPassword('hoop-test', account, 'kept — ünïcode');
  const deletedOther = await keychain.deletePassword('hoop-test', 'nobody');
  const found = await keychain.findCredentials('hoop-test');
  process.stdout.write(
    JSON.stringify({ absent, read: await read(), found, deletedOther, files: await files() }),
  );
} else if (phase === 'locked') {
  process.stdout.write(JSON.stringify({ absent, read: await read(), files: await files() }));
} else {
  const deleted = await keychain.deletePassword('hoop-test', account);
  process.stdout.write(JSON.stringify({ deleted, read: await read() }));
}
