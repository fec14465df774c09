/** How the relay reads an issuer's documents: no redirects, five seconds, at most 1 MiB, TLS by the system's authorities. */
import { fetch } from 'undici';
import type { FetchJson } from '../../identity/issuer-keys.ts';

const timeoutMs = 5000;
const maxBytes = 1 << 20;

export const fetchIssuerJson: FetchJson = async (url) =>
  JSON.parse((await fetchDocument(url, 'application/json')).toString('utf8'));

/** @throws anything when it cannot */
export async function fetchDocument(url: string, accept: string): Promise<Buffer> {
  const response = await fetch(url, {
    redirect: 'error',
    headers: { accept },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the issuer answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error('the issuer answered with more than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
