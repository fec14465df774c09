/** How the relay talks to an issuer: no redirects, five seconds, at most 1 MiB, TLS by the system's authorities. */
import { fetch } from 'undici';
import type { FetchJson } from '../../identity/issuer-keys.ts';
import { isLoopback } from '../config/loopback.ts';

const timeoutMs = 5000;
const maxBytes = 1 << 20;

export const fetchIssuerJson: FetchJson = async (url) => {
  const answer = await askIssuer(url, { method: 'GET', headers: { accept: 'application/json' } });
  if (!answer.ok) throw new Error(`the issuer answered ${answer.status}`);
  return JSON.parse(await answer.text());
};

export interface IssuerRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** @returns the answer, read whole, whatever its status. @throws Error when there is none, or it is too long or a redirect */
export async function askIssuer(url: string, { method, headers, body }: IssuerRequest): Promise<Response> {
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname)))
    throw new Error('an endpoint of the issuer is not https');
  const answer = await fetch(url, {
    method,
    headers,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body }),
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error('the issuer answered with more than 1 MiB');
    chunks.push(chunk);
  }
  const { status } = answer;
  const empty = status === 204 || status === 205 || status === 304;
  const content = empty ? null : Buffer.concat(chunks);
  return new Response(content, { status, headers: [...answer.headers] });
}
