/**
 * What oidc-provider stores, in the relay's state. Tokens are kept under the digest of their value and without it: whoever
 * reads the state cannot use them. Consuming is one statement, so of two that redeem a code or a refresh token at the
 * same time one is refused.
 */
import { hash } from 'node:crypto';
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import { z } from 'zod';
import type { Clock } from '../../system/clock.ts';
import type { Artefacts, StoredArtefact } from '../state/artefacts.ts';

/** Looked up by their value alone. */
const bearers = new Set(['AccessToken', 'RefreshToken']);

/** For grants, which never expire by themselves in the provider's eyes. */
const maxLifetimeMs = 365 * 86_400_000;

/** Kept a little longer, so that the provider can say *expired* (RFC 8628 §3.5) and not *unknown*; it checks `exp` itself. */
const graceMs = 600_000;

export function adapterFactory(artefacts: Artefacts, clock: Clock): (model: string) => Adapter {
  return (model) => new StateAdapter(model, artefacts, clock);
}

class StateAdapter implements Adapter {
  readonly #model: string;
  readonly #artefacts: Artefacts;
  readonly #clock: Clock;

  constructor(model: string, artefacts: Artefacts, clock: Clock) {
    this.#model = model;
    this.#artefacts = artefacts;
    this.#clock = clock;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    const { jti, ...rest } = payload;
    const lifetimeMs = expiresIn === undefined ? maxLifetimeMs : expiresIn * 1000 + graceMs;
    await this.#artefacts.put({
      model: this.#model,
      id: this.#key(id),
      payload: bearers.has(this.#model) ? rest : { jti, ...rest },
      grantId: text(payload.grantId),
      accountId: text(payload.accountId) ?? signedIn(payload),
      userCode: text(payload.userCode),
      uid: text(payload.uid),
      expiresAtMs: this.#clock.wallMs() + lifetimeMs,
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const found = await this.#artefacts.find(this.#model, 'id', this.#key(id));
    if (found === null) return undefined;
    return { ...payloadOf(found), ...(bearers.has(this.#model) ? { jti: id } : {}) };
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    const found = await this.#artefacts.find(this.#model, 'user_code', userCode);
    return found === null ? undefined : payloadOf(found);
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const found = await this.#artefacts.find(this.#model, 'uid', uid);
    return found === null ? undefined : payloadOf(found);
  }

  async consume(id: string): Promise<void> {
    if (await this.#artefacts.consume(this.#model, this.#key(id))) return;
    throw new errors.InvalidGrant('already used');
  }

  destroy(id: string): Promise<void> {
    return this.#artefacts.remove(this.#model, this.#key(id));
  }

  revokeByGrantId(grantId: string): Promise<void> {
    return this.#artefacts.removeGrant(grantId);
  }

  #key(id: string): string {
    return bearers.has(this.#model) ? hash('sha256', id, 'base64url') : id;
  }
}

/** Of an interaction: whose password was given. It goes with everything else of theirs when they are revoked. */
function signedIn({ result }: AdapterPayload): string | null {
  const parsed = Result.safeParse(result);
  return parsed.success ? parsed.data.login.accountId : null;
}

const Result = z.object({ login: z.object({ accountId: z.string() }) });

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

const payloadOf = ({ payload, consumedAtMs }: StoredArtefact): AdapterPayload =>
  consumedAtMs === null ? payload : { ...payload, consumed: Math.floor(consumedAtMs / 1000) };
