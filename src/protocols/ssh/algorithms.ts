/**
 * What is offered and accepted, set explicitly. AES-GCM alone: every OpenSSH since 6.2 has it, it is the fastest here, and
 * it authenticates what it encrypts. A client's own order would otherwise choose something slower. No SHA-1, no CBC, no
 * compression (it tells lengths of secrets beside chosen text).
 */
import type { Algorithms, CipherAlgorithm, KexAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';

const cipher: CipherAlgorithm[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
const kex: KexAlgorithm[] = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'diffie-hellman-group14-sha256',
];
const hostKeys: ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

/** Of the relay's end towards clients; its host key is Ed25519. */
export const clientSide: Algorithms = { cipher, kex, serverHostKey: ['ssh-ed25519'], compress: ['none'] };

/**
 * Towards targets. Servers that have no AES-GCM get AES-CTR with encrypt-then-MAC.
 * @param pinned types of the target's pinned keys, so that it shows one of those; empty: any
 */
export function targetSide(pinned: readonly string[]): Algorithms {
  const serverHostKey = hostKeys.filter((name) =>
    pinned.length === 0 ? true : pinned.includes(name.startsWith('rsa-sha2-') ? 'ssh-rsa' : name),
  );
  return {
    cipher: [...cipher, 'aes128-ctr', 'aes256-ctr'],
    hmac: [
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-sha2-256',
      'hmac-sha2-512',
    ],
    kex,
    serverHostKey,
    compress: ['none'],
  };
}
