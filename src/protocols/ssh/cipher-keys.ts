/**
 * ssh2 makes a cipher for each packet (AES-GCM has a nonce for each), and Node.js takes 30 µs to read a key from a Buffer and 3 to
 * take a KeyObject. So the keys of a connection are kept as KeyObjects: a fifth of what a transfer costs. Where ssh2 is not what it was,
 * nothing is changed.
 */
import { createSecretKey } from 'node:crypto';
import type { Client, Connection } from 'ssh2';

/** From the next handshake on, and after each exchange of keys. */
export function keepKeys(connection: Client | Connection): void {
  connection.on('handshake', () => {
    const protocol: unknown = Reflect.get(connection, '_protocol');
    if (typeof protocol !== 'object' || protocol === null) return;
    replace(Reflect.get(protocol, '_cipher'), '_encKey');
    replace(Reflect.get(protocol, '_decipher'), '_decipherKey');
  });
}

function replace(cipher: unknown, name: string): void {
  if (typeof cipher !== 'object' || cipher === null) return;
  const key: unknown = Reflect.get(cipher, name);
  if (Buffer.isBuffer(key)) Reflect.set(cipher, name, createSecretKey(key));
}
