/**
 * How machines prove who they are at `POST /v1/login`: by the token of a trusted issuer, as a service account of this relay,
 * or as an agent whom a person lets act for them. What was proven is bound to the key of the request by whoever calls this.
 */
import { hash } from 'node:crypto';
import { IdentityError } from '../../identity/error.ts';
import type { MachineTokens } from '../../identity/machine-token.ts';
import {
  delegatedPrincipal,
  isUsable,
  isUsableBy,
  verifyClientAssertion,
  verifyClientSecret,
  type ServiceAccountVerification,
  type ServiceCredential,
  type VerifiedAccount,
} from '../../identity/service-account.ts';
import { unknownAuthentication, type Authentication } from '../../model/authentication.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';
import { delegationPrefix, type MachineLogin } from '../../wire/api.ts';
import { timeOfUlid } from '../../system/ulid.ts';
import { RelayError } from '../error.ts';
import { addressGroup, limits, RateLimit } from '../idp/rate-limit.ts';
import type { Presented } from '../presented.ts';
import type { State } from '../state/state.ts';
import { decideDelegate } from './delegations.ts';

export interface MachineSignInsOptions {
  /** Base URL of this relay. */
  readonly relay: string;
  readonly state: State;
  readonly clock: Clock;
  readonly tokens: MachineTokens;
  readonly policies: () => Policies;
}

export class MachineSignIns {
  readonly #options: MachineSignInsOptions;
  readonly #verification: ServiceAccountVerification;
  readonly #rateLimit: RateLimit;

  constructor(options: MachineSignInsOptions) {
    const { relay, state, clock } = options;
    this.#options = options;
    this.#verification = { relay, clock, accounts: state.serviceAccounts, replay: state.replay };
    this.#rateLimit = new RateLimit(state.attempts);
  }

  /**
   * @param body untrusted but for its shape
   * @param address of the caller
   * @throws IdentityError; RelayError `relay-overloaded`
   */
  async present(body: MachineLogin, address: string): Promise<Presented> {
    if ('clientSecret' in body) return this.#bySecret(body, address);
    if (body.assertion.startsWith(delegationPrefix)) return this.#byDelegation(body.assertion, address);
    if (this.#options.tokens.claims(body.assertion)) return this.#byIssuer(body.assertion);
    const verified = await verifyClientAssertion(body.assertion, this.#verification);
    const proof = { kind: 'client-assertion', digest: verified.digest } as const;
    return this.#asAccount(verified, { method: 'private-key-jwt', proof });
  }

  async #byIssuer(token: string): Promise<Presented> {
    const { principal, rule, digest, boundJkt, endsAtMs } = await this.#options.tokens.verify(token);
    const told = { method: 'workload-token', proof: { kind: 'workload-token', digest, rule } } as const;
    // The person for whom an agent acts may have been disabled meanwhile.
    const refuseUnlessVouchedFor = async () => void (await this.#options.tokens.verify(token));
    const nobody = { authentication: unknownAuthentication, scope: null, parent: null };
    return { principal, boundJkt, told, kept: [], endsAtMs, ...nobody, refuseUnlessVouchedFor };
  }

  async #bySecret(
    body: { readonly account: string; readonly clientSecret: string },
    address: string,
  ): Promise<Presented> {
    const network = addressGroup(address);
    // By account and network: a stranger elsewhere must not keep a pipeline from signing in.
    const who = `${body.account} ${network}`;
    const wait =
      (await this.#rateLimit.enter(limits.machineAddress, network)) ??
      (await this.#rateLimit.enter(limits.serviceAccount, who));
    if (wait !== null) throw tooMany(wait);
    const verified = await verifyClientSecret(body, this.#verification);
    await this.#rateLimit.forgive(limits.machineAddress, network);
    await this.#rateLimit.clear(limits.serviceAccount, who);
    const proof = { kind: 'client-secret', digest: null } as const;
    return this.#asAccount(verified, { method: 'client-secret', proof });
  }

  async #byDelegation(token: string, address: string): Promise<Presented> {
    const network = addressGroup(address);
    const wait = await this.#rateLimit.enter(limits.machineAddress, network);
    if (wait !== null) throw tooMany(wait);
    const { state, relay, clock } = this.#options;
    const digest = hash('sha256', token, 'hex');
    const delegation = await state.delegations.byDigest(digest);
    const person = delegation && (await state.logins.find(delegation.login));
    if (delegation === null || person === null) throw delegationEnded();
    await this.#rateLimit.forgive(limits.machineAddress, network);
    const { issuer, subject, email, groups } = person.login.principal;
    const account = await state.serviceAccounts.byId(delegation.account);
    const principal = delegatedPrincipal(account, { issuer, subject, email, groups }, { relay, clock });
    return {
      principal,
      authentication: unknownAuthentication,
      boundJkt: null,
      kept: [],
      told: {
        method: 'delegation',
        proof: { kind: 'delegation', digest },
        delegation: { login: delegation.login, request: delegation.request },
      },
      endsAtMs: Math.min(delegation.expiresAtMs, account?.expiresAtMs ?? Infinity),
      scope: delegation.scope,
      parent: delegation.login,
      refuseUnlessVouchedFor: async () => {
        await this.#refuseUnlessUsable(delegation.account, null);
        if ((await state.delegations.byDigest(digest)) === null) throw delegationEnded();
        // One that was merely not renewed still stands behind its word, which ends within the hour.
        const standing = (await state.logins.find(delegation.login))?.standing ?? 'ended';
        const left = (delegation.expiresAtMs - clock.wallMs()) / 1000;
        const { policies } = decideDelegate(this.#options, {
          person: person.login.principal,
          agent: principal,
          circumstances: {
            sourceAddress: address,
            durationSeconds: Math.max(1, Math.ceil(left)),
            authentication: asOf(timeOfUlid(delegation.id), person.login.authentication, clock.wallMs()),
          },
        });
        if (standing === 'ended' || policies === null) throw delegationEnded();
      },
    };
  }

  #asAccount({ account, credential, principal }: VerifiedAccount, told: Presented['told']): Presented {
    const { id, expiresAtMs } = account;
    const refuseUnlessVouchedFor = () => this.#refuseUnlessUsable(id, credential);
    const nobody = { scope: null, parent: null };
    const proven = { principal, authentication: unknownAuthentication, boundJkt: null, told, kept: [] };
    return { ...proven, endsAtMs: expiresAtMs, ...nobody, refuseUnlessVouchedFor };
  }

  /** @param by null: it acts by what a person said, and needs no credential of its own */
  async #refuseUnlessUsable(id: string, by: ServiceCredential | null): Promise<void> {
    const { state, clock } = this.#options;
    const account = await state.serviceAccounts.byId(id);
    const usable = account !== null && isUsable(account, clock.wallMs());
    if (usable && (by === null || isUsableBy(account, by, clock))) return;
    throw new IdentityError('service-account-refused', 'The service account may not sign in any more.');
  }
}

/**
 * How fresh the person's authentication was when they decided: a rule on its age was about that moment. Everything else that
 * policy asks (who is in which group, what is permitted) is asked as it is now.
 */
function asOf(decidedAtMs: number, authentication: Authentication, nowMs: number): Authentication {
  const { timeMs } = authentication;
  return timeMs === null
    ? authentication
    : { ...authentication, timeMs: Math.min(nowMs, timeMs + nowMs - decidedAtMs) };
}

const tooMany = (waitMs: number): RelayError =>
  new RelayError('relay-overloaded', 'Too many sign-ins have failed.', {
    hint: `try again in ${Math.ceil(waitMs / 60_000)} minutes`,
  });

const delegationEnded = (): IdentityError =>
  new IdentityError('delegation-ended', 'Nobody lets this agent act for them by this token, or no longer.', {
    hint: 'the person makes a new one: hoop delegate',
  });
