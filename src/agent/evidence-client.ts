/** Reading evidence at the relay: each call carries what the reader's key signed (`wire/audit.ts`). */
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { makeSignedRequest } from '../identity/signed-request.ts';
import { systemClock } from '../system/clock.ts';
import { EvidenceReadClaims, signedReadHeader, type AskedFor, type ReadAction } from '../wire/audit.ts';
import type { Account } from './account.ts';
import { AgentError } from './error.ts';
import type { RelayClient, ReadOptions } from './relay-client.ts';

/** One call: where it goes, and what it asks for, as the relay will read it there. */
export interface EvidenceCall {
  /** With its query. */
  readonly path: string;
  readonly action: ReadAction;
  readonly asked: AskedFor;
  /** Sent by POST. */
  readonly body?: unknown;
}

/** The part of `Account` that reading needs. */
export interface EvidenceAccount extends Pick<Account, 'relay'> {
  readonly signIn: Pick<Account['signIn'], 'key'>;
  readonly client: Pick<RelayClient, 'get' | 'stream'>;
}

export class EvidenceClient {
  readonly #account: EvidenceAccount;

  constructor(account: EvidenceAccount) {
    this.#account = account;
  }

  /** @throws RelayProblem, AgentError */
  async get<T>(call: EvidenceCall, schema: z.ZodType<T>): Promise<T> {
    return this.#account.client.get(call.path, schema, await this.#signed(call));
  }

  /** @throws RelayProblem, AgentError; why `signal` aborted */
  async stream(call: EvidenceCall, signal?: AbortSignal): Promise<Readable> {
    const { path, body } = call;
    return this.#account.client.stream(path, { ...(await this.#signed(call)), signal, body });
  }

  async #signed({ action, asked }: EvidenceCall): Promise<ReadOptions> {
    const { relay, signIn } = this.#account;
    const claims = { v: 1 as const, action: `evidence.${action}` as const, relay, ...asked };
    if (!EvidenceReadClaims.omit({ iat: true, jti: true }).safeParse(claims).success)
      throw new AgentError('agent-request-invalid', 'this cannot be asked for', {
        hint: 'look at ids and times; sessions are listed by: hoop audit sessions',
      });
    const request = await makeSignedRequest<EvidenceReadClaims>(await signIn.key(), claims, systemClock);
    return { headers: { [signedReadHeader]: request } };
  }
}
