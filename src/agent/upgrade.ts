/** Upgrades of this side: the refusal of one, read as what it is, and the next attempt with a better proof. */
import type { IncomingMessage } from 'node:http';
import { Problem } from '../wire/api.ts';
import { RelayProblem } from './problem.ts';

/** An answer that refused the upgrade, for a second attempt with a better proof. */
export interface RefusedUpgrade {
  readonly status: number;
  /** The relay's code. */
  readonly code: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Refusal extends RefusedUpgrade {
  readonly problem: RelayProblem;
}

export interface UpgradeOptions {
  /** `https://relay/v1/sessions/ID/…`, or http on loopback. */
  readonly url: string;
  /** Headers that prove who asks, made anew for each attempt; `refused` is the answer to the last one. */
  readonly headers: (refused: RefusedUpgrade | null) => Promise<Record<string, string>>;
  /** Certificates to trust, PEM; the system's defaults when absent. */
  readonly authorities?: string[] | undefined;
  readonly signal?: AbortSignal;
}

export const handshakeMs = 15_000;
const attempts = 3;
const renewable = new Set(['dpop-nonce-required', 'access-token-expired', 'access-token-invalid']);
const problemLimitBytes = 65_536;

/** @throws RelayProblem when the relay refuses for good; what `attempt` throws */
export async function upgraded<T extends object>(
  { headers }: UpgradeOptions,
  attempt: (headers: Record<string, string>) => Promise<T | Refusal>,
): Promise<T> {
  let refused: RefusedUpgrade | null = null;
  for (let tried = 1; ; tried++) {
    const answer: T | Refusal = await attempt(await headers(refused));
    if (!('problem' in answer && answer.problem instanceof RelayProblem)) return answer as T;
    const { status, code, problem } = answer as Refusal;
    if (tried === attempts || status !== 401 || !renewable.has(code)) throw problem;
    refused = answer as Refusal;
  }
}

/** Never more than a problem document may hold. */
export async function readRefusal(response: IncomingMessage, url: string): Promise<Refusal> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > problemLimitBytes) break;
    parts.push(part);
  }
  const status = response.statusCode ?? 0;
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
  );
  const document = Problem.safeParse(parse(Buffer.concat(parts).toString('utf8')));
  const { host } = new URL(url);
  const problem = document.success
    ? { ...document.data, status }
    : { title: `${host} answered ${status}, and not as a relay does`, status, code: 'relay-answer-invalid' };
  return { status, code: problem.code, headers, problem: new RelayProblem(problem) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
