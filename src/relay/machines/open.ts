/** Sign-in of machines, put together for one relay process. */
import type { JWTPayload } from 'jose';
import { groupsOf } from '../../identity/groups.ts';
import { IssuerKeys, type SeenKeys } from '../../identity/issuer-keys.ts';
import { MachineTokens } from '../../identity/machine-token.ts';
import type { ActedFor } from '../../model/principal.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import { fetchIssuerJson } from '../idp/issuer-fetch.ts';
import { providerIssuer } from '../idp/provider.ts';
import type { State } from '../state/state.ts';
import { MachineSignIns } from './sign-in.ts';

export interface OpenMachinesOptions {
  readonly config: Pick<RelayConfig, 'publicUrl' | 'identity' | 'machines'>;
  readonly state: State;
  readonly clock: Clock;
  readonly policies: () => Policies;
  /** Told of each key set of an issuer before a token is accepted by it, for the log. */
  readonly onIssuerKeys: (issuer: string, seen: SeenKeys) => Promise<void>;
}

export function openMachines(options: OpenMachinesOptions): MachineSignIns {
  const { config, state, clock, policies, onIssuerKeys } = options;
  const tokens = new MachineTokens({
    rules: config.machines,
    clock,
    keysOf: (issuer) =>
      new IssuerKeys({
        issuer,
        clock,
        fetchJson: fetchIssuerJson,
        onKeys: (seen) => onIssuerKeys(issuer, seen),
      }),
    person: (subject, claims) => personOf(options, subject, claims),
  });
  return new MachineSignIns({ relay: config.publicUrl, state, clock, tokens, policies });
}

/** The person as they would sign in here: at the embedded provider an enabled one, else as the issuer says. */
async function personOf(
  { config: { identity, publicUrl }, state }: OpenMachinesOptions,
  subject: string,
  claims: JWTPayload,
): Promise<ActedFor | null> {
  if (identity.kind === 'oidc') {
    const { email, email_verified: verified } = claims;
    const known = typeof email === 'string' && email.length <= 320 && !/\p{Cc}/u.test(email) && email !== '';
    return {
      issuer: identity.issuer,
      subject,
      email: known && verified !== false && verified !== 'false' ? email : null,
      groups: groupsOf(claims, identity),
    };
  }
  // Those whom the upstream signs in are its own; who was here before signs in no more.
  if (identity.upstream !== null) return null;
  const user = await state.users.byId(subject);
  if (user === null || user.disabled) return null;
  return { issuer: providerIssuer(publicUrl), subject, email: user.email, groups: user.groups };
}
