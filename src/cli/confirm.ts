/** An operator's yes to a host key: typed on a terminal, or the fingerprint given beforehand. */
import { createInterface } from 'node:readline/promises';
import { timingSafeEqual } from 'node:crypto';
import type { ShownKey } from '../relay/trust.ts';
import { OperatorError } from './operator-error.ts';

/** @throws OperatorError `host-key-not-trusted` */
export async function confirmed(shown: ShownKey, fingerprint: string | null): Promise<void> {
  if (shown.configured)
    throw new OperatorError(
      'host-key-not-trusted',
      'its host keys stand in relay.yaml, and this is none of them',
      {
        hint: 'if the server was set up anew, change hostKeys there',
      },
    );
  if (fingerprint !== null) {
    if (same(fingerprint, shown.fingerprint)) return;
    throw new OperatorError(
      'host-key-not-trusted',
      'the server shows another key than the one that was expected',
      {
        hint: 'nothing was pinned; ask its administrator for: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
      },
    );
  }
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const asked = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await asked.question('  Is that what its administrator says? (yes/no) ');
    asked.close();
    if (answer.trim() === 'yes') return;
  }
  throw new OperatorError('host-key-not-trusted', 'nothing was pinned', {
    hint: 'answer yes on a terminal, or give the fingerprint that the administrator says: --fingerprint SHA256:…',
  });
}

function same(given: string, shown: string): boolean {
  const [a, b] = [Buffer.from(given.trim()), Buffer.from(shown)];
  return a.length === b.length && timingSafeEqual(a, b);
}
