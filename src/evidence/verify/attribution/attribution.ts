/**
 * Who did it, by the identity provider's own signature: each signed act → the key of a login → the login's entry → the proof
 * kept beside the log → a key that the issuer published before. Offline, and without believing the relay where the issuer
 * itself bound the key.
 *
 * What it does not show: that the person at the key was who the issuer thinks; that the issuer was not deceived; and where the
 * embedded provider is the issuer, it is the relay's operator who vouches.
 */
import { sessionOf, type Act, type EntryOf } from '../../entry.ts';
import type { Location } from '../../location.ts';
import { KeptProofs } from '../../logins/layout.ts';
import type { FailureCode, FindingCode, Findings, WarningCode } from '../finding.ts';
import type { CheckedAct } from '../logins.ts';
import { IssuerKeySets } from './issuer-keys.ts';
import { followSignIn, type Attributed, type SignIn, type SignInChain } from './sign-in.ts';

export type { Attributed, SignInChain } from './sign-in.ts';

/** One act and every step of its chain, as far as it goes. */
export interface AttributedAct {
  /** As it was signed: `session.open`, `evidence.unseal`, … */
  readonly action: string;
  readonly index: number;
  readonly time: string;
  readonly session: string | null;
  readonly actor: Act['actor'];
  readonly attributed: Attributed;
  /** The link that is missing, or what is less than whole; null when there is nothing to say. */
  readonly link: FindingCode | null;
  /** The request; null when it is not signed by the key of a login of this person. */
  readonly signedAt: string | null;
  readonly login: {
    readonly id: string;
    readonly index: number;
    readonly thumbprint: string;
    readonly binding: EntryOf<'login'>['binding'];
  } | null;
  /** The sign-in that the login came from; null when the chain does not get there. */
  readonly signIn: Pick<SignInChain, 'proof' | 'token' | 'issuerKey'> | null;
}

/** Of one action. */
export type ActCounts = { readonly action: string } & Record<Attributed, number>;

export interface AttributionReport {
  /** By action, in order of their names. */
  readonly acts: readonly Readonly<ActCounts>[];
  /** Acts by the link that is missing. */
  readonly broken: Readonly<Partial<Record<FindingCode, number>>>;
  /** The session that was asked for; null: none was. */
  readonly session: string | null;
  /** The acts about it, step by step. */
  readonly chains: readonly AttributedAct[];
}

export interface AttributionOptions {
  /** Whose acts are told step by step. */
  readonly session?: string;
}

/** Memory grows with the sign-ins that live at one time, not with the log. */
export class Attribution {
  readonly #evidence: Location;
  readonly #session: string | null;
  readonly #findings: Findings;
  readonly #relations: Findings;
  readonly #keySets: IssuerKeySets;
  readonly #proofs: KeptProofs;
  readonly #signIns = new Map<string, SignIn & { chain: Promise<SignInChain> | null }>();
  readonly #acts = new Map<string, ActCounts>();
  readonly #broken = new Map<FindingCode, number>();
  readonly #chains: AttributedAct[] = [];

  /**
   * @param evidence the evidence directory
   * @param relations takes what may only be said when no entry is missing
   */
  constructor(
    evidence: Location,
    { session }: AttributionOptions,
    { findings, relations }: { findings: Findings; relations: Findings },
  ) {
    this.#evidence = evidence;
    this.#session = session ?? null;
    this.#findings = findings;
    this.#relations = relations;
    this.#keySets = new IssuerKeySets(evidence, findings);
    this.#proofs = new KeptProofs(evidence);
  }

  issuerKeys(entry: EntryOf<'issuer.keys'>, index: number): void {
    this.#keySets.seen(entry, index);
  }

  /** Told again with the same proof, a login stays what it was: the keys that proved it may have rotated away. */
  signedIn(entry: EntryOf<'login'>, index: number): void {
    const before = this.#signIns.get(entry.login)?.entry;
    const same =
      before !== undefined &&
      before.idTokenDigest === entry.idTokenDigest &&
      before.proof?.digest === entry.proof?.digest &&
      before.thumbprint === entry.thumbprint;
    if (same) return;
    const keySets = this.#keySets.heldAt(entry.actor.issuer, entry.time);
    this.#signIns.set(entry.login, { entry, index, keySets, chain: null });
  }

  forget(login: string): void {
    this.#signIns.delete(login);
  }

  /** @param checked what `Logins` says of its signature */
  async act(entry: Act, index: number, checked: CheckedAct): Promise<void> {
    const session = sessionOf(entry);
    const signIn = checked.problem === null ? this.#signIns.get(entry.login ?? '') : undefined;
    const chain = signIn === undefined ? null : await this.#follow(signIn);
    if (checked.problem === 'attribution-unsigned')
      this.#findings.failure(checked.problem, `${entry.kind} (${actionOf(entry)}) carries no signature`, {
        index,
        ...(session !== null && { session }),
      });
    const attributed = chain?.attributed ?? 'broken';
    const link = checked.problem ?? chain?.link?.code ?? null;
    const action = actionOf(entry);
    const counts = this.#acts.get(action) ?? { action, issuer: 0, relay: 0, unchecked: 0, broken: 0 };
    counts[attributed] += 1;
    this.#acts.set(action, counts);
    if (attributed === 'broken' && link !== null) this.#broken.set(link, (this.#broken.get(link) ?? 0) + 1);
    if (this.#session === null || session !== this.#session) return;
    this.#chains.push({
      action,
      index,
      time: entry.time,
      session,
      actor: entry.actor,
      attributed,
      link,
      signedAt: checked.problem === null ? new Date(checked.iat * 1000).toISOString() : null,
      login: signIn === undefined ? null : loginOf(signIn),
      signIn: chain === null ? null : { proof: chain.proof, token: chain.token, issuerKey: chain.issuerKey },
    });
  }

  report(): AttributionReport {
    return {
      acts: [...this.#acts.values()].toSorted((a, b) => (a.action < b.action ? -1 : 1)),
      broken: Object.fromEntries(this.#broken),
      session: this.#session,
      chains: this.#chains,
    };
  }

  /** A sign-in is followed when somebody first acts by it, and told once. */
  #follow(signIn: SignIn & { chain: Promise<SignInChain> | null }): Promise<SignInChain> {
    return (signIn.chain ??= this.#followed(signIn));
  }

  async #followed(signIn: SignIn): Promise<SignInChain> {
    const chain = await followSignIn(this.#evidence, this.#proofs, signIn);
    const { link, proof, attributed } = chain;
    if (link === null) return chain;
    const place = { index: signIn.index, ...(proof.file !== null && { file: proof.file }) };
    const to = link.code === 'attribution-key-unknown' ? this.#relations : this.#findings;
    if (attributed === 'broken') to.failure(link.code as FailureCode, link.message, place);
    else to.warning(link.code as WarningCode, link.message, place);
    return chain;
  }
}

const loginOf = ({ entry: { login, thumbprint, binding }, index }: SignIn): AttributedAct['login'] => ({
  id: login,
  index,
  thumbprint,
  binding,
});

/** The name under which it is signed. */
function actionOf(entry: Act): string {
  switch (entry.kind) {
    case 'session.opened':
      return 'session.open';
    case 'session.killed':
      return 'session.kill';
    case 'review.decided':
      return 'review.decide';
    case 'agent.delegated':
      return 'agent.delegate';
    case 'evidence.read':
      return `evidence.${entry.action}`;
    case 'originals.resealed':
      return 'originals.reseal';
  }
}
