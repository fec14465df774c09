/** Service accounts as an operator manages them. */
import type { OperatorAct } from '../../evidence/operator-act.ts';
import { createPublicKey } from 'node:crypto';
import {
  digestOfSecret,
  generateClientSecret,
  isAccountName,
  type ServiceAccount,
} from '../../identity/service-account.ts';
import { PublicJwk } from '../../identity/login-key.ts';
import type { LoginEnd } from '../state/logins.ts';
import type { NewCredential, NewServiceAccount } from '../state/service-accounts.ts';
import type { State } from '../state/state.ts';
import { checkGroups } from '../idp/accounts.ts';
import { ProviderError } from '../idp/error.ts';

export class ServiceAccountAdmin {
  readonly #state: State;
  readonly #relay: string;
  readonly #operator: OperatorAct;

  /**
   * @param relay base URL of the relay: logins of service accounts carry it as issuer
   * @param operator who changes accounts, for the record
   */
  constructor(state: State, relay: string, operator: OperatorAct) {
    this.#state = state;
    this.#relay = relay;
    this.#operator = operator;
  }

  list(): Promise<ServiceAccount[]> {
    return this.#state.serviceAccounts.list();
  }

  byName(name: string): Promise<ServiceAccount | null> {
    return this.#state.serviceAccounts.byName(name);
  }

  /** @throws ProviderError `account-invalid` */
  check({ name, groups }: NewServiceAccount): void {
    if (!isAccountName(name))
      throw new ProviderError('account-invalid', `"${name}" cannot be the name of a service account.`, {
        hint: 'at most 63 of a–z, 0–9 and -, beginning with a letter or digit',
      });
    checkGroups(groups);
  }

  /**
   * Null when there is one of that name.
   * @throws ProviderError `account-invalid`
   */
  async add(account: NewServiceAccount, credential: NewCredential | null): Promise<ServiceAccount | null> {
    this.check(account);
    return this.#state.serviceAccounts.add(account, credential);
  }

  /** With no overlap the old credential may be in wrong hands: what was signed in by it ends too. */
  async rotate(account: ServiceAccount, credential: NewCredential, overlapMs: number): Promise<void> {
    await this.#state.serviceAccounts.rotate(account.id, credential, overlapMs);
    if (overlapMs === 0) await this.#endLogins(account, 'revoked');
  }

  /** Disabling ends its sign-ins, and live sessions with them, at once. */
  async setDisabled(account: ServiceAccount, disabled: boolean): Promise<void> {
    await this.#state.serviceAccounts.setDisabled(account.id, disabled);
    if (disabled) await this.#endLogins(account, 'revoked');
  }

  async remove(account: ServiceAccount): Promise<void> {
    await this.#state.serviceAccounts.remove(account.id);
    await this.#endLogins(account, 'user-removed');
  }

  async #endLogins({ id }: ServiceAccount, reason: LoginEnd): Promise<void> {
    await this.#state.logins.endAllOf(this.#relay, id, reason, this.#operator);
  }
}

/** A secret, to be shown once, and what is stored of it. */
export function newSecret(): { readonly secret: string; readonly credential: NewCredential } {
  const secret = generateClientSecret();
  return { secret, credential: { kind: 'secret', digest: digestOfSecret(secret) } };
}

/**
 * A public key of P-256 as PEM or JWK.
 * @throws ProviderError `account-invalid` also for a private key, which has no business here
 */
export function publicKeyOf(text: string): NewCredential {
  const trimmed = text.trim();
  try {
    if (/PRIVATE KEY/.test(trimmed)) throw new TypeError('private');
    const key = trimmed.startsWith('{')
      ? JSON.parse(trimmed)
      : createPublicKey(trimmed).export({ format: 'jwk' });
    if ('d' in key) throw new TypeError('private');
    const { kty, crv, x, y } = key;
    const publicJwk = PublicJwk.parse({ kty, crv, x, y });
    createPublicKey({ key: publicJwk, format: 'jwk' });
    return { kind: 'key', publicJwk };
  } catch {
    // Without the cause: it may quote a key that should not be here.
    throw new ProviderError('account-invalid', 'This is no public key of P-256, as PEM or JWK.', {
      hint: 'openssl ecparam -name prime256v1 -genkey -noout -out KEY; openssl ec -in KEY -pubout',
    });
  }
}
