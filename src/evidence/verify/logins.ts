/** Logins as the log tells them: whose key signs what. */
import type { EntryOf } from '../entry.ts';
import type { Findings } from './finding.ts';
import { samePrincipal, sameParty } from '../../model/principal.ts';
import {
  openDecisionRequest,
  openDelegateRequest,
  openKillRequest,
  openSessionRequest,
  thumbprintOf,
} from './signed-request.ts';

interface KnownLogin {
  readonly entry: EntryOf<'login'>;
  /** `jti` of every request that was used. */
  readonly used: Set<string>;
  /** Milliseconds since the epoch; null while it lives. */
  endedMs: number | null;
}

/** An ended login is remembered this long in the log's own time: what was asked before its end may be logged after. */
const rememberMs = 3_600_000;
/** Between the person's signature and the entry. The relay allows a minute; the log's clock never steps back. */
const requestSkewMs = 300_000;
/** Between the relay's look at a login and the entry that follows from it: meanwhile somebody may have signed out. */
const admittedMs = 60_000;

type Signed =
  | EntryOf<'session.opened'>
  | EntryOf<'session.killed'>
  | EntryOf<'review.decided'>
  | EntryOf<'agent.delegated'>;

/** Memory grows with the logins that live at one time, not with the log. */
export class Logins {
  readonly #known = new Map<string, KnownLogin>();
  readonly #findings: Findings;
  readonly #relations: Findings;
  #sweepAt = 1000;
  /** Signatures by people that were proven. */
  signatures = 0;

  /** @param relations takes what may only be said when no entry is missing */
  constructor(findings: Findings, relations: Findings) {
    this.#findings = findings;
    this.#relations = relations;
  }

  signedIn(entry: EntryOf<'login'>, index: number): void {
    if (thumbprintOf(entry.key) !== entry.thumbprint)
      this.#findings.failure('login-mismatch', `login ${entry.login} names another key than it holds`, {
        index,
      });
    const before = this.#known.get(entry.login);
    if (before !== undefined && !samePerson(before.entry, entry))
      this.#findings.failure('login-mismatch', `login ${entry.login} was another person's before`, { index });
    if (entry.actor.actsFor !== undefined) this.#checkActing(entry, index);
    this.#known.set(entry.login, { entry, used: before?.used ?? new Set(), endedMs: null });
    if (this.#known.size > this.#sweepAt) this.#sweep(Date.parse(entry.time));
  }

  ended(entry: EntryOf<'login.ended'>, index: number): void {
    const login = this.#known.get(entry.login);
    if (login === undefined)
      this.#relations.failure('login-unknown', `login ${entry.login} ended and never began`, { index });
    else login.endedMs = Date.parse(entry.time);
  }

  /** Groups of a login as the log told them last; null when it does not know the login. */
  groupsOf(login: string): readonly string[] | null {
    return this.#known.get(login)?.entry.groups ?? null;
  }

  /** Signature → key → login → person, and that the request says what the entry says. */
  checkRequest(entry: Signed, index: number): void {
    const place = { index, ...('session' in entry && { session: entry.session }) };
    const login = this.#known.get(entry.login);
    if (login === undefined) {
      this.#relations.failure(
        'login-unknown',
        `${entry.kind} names login ${entry.login}, which the log does not know`,
        place,
      );
      return;
    }
    if (!samePerson(login.entry, entry))
      this.#findings.failure(
        'login-mismatch',
        `${entry.kind} is by another person than login ${entry.login}`,
        place,
      );
    if (login.endedMs !== null && Date.parse(entry.time) - login.endedMs > admittedMs)
      this.#findings.failure(
        'login-over',
        `${entry.kind} is by login ${entry.login}, which had ended`,
        place,
      );
    const { key, thumbprint } = login.entry;
    const claims = openRequest(entry, key, thumbprint);
    if (claims === null) {
      this.#findings.failure(
        'signature-invalid',
        `the request of ${entry.kind} is not signed by the key of login ${entry.login}`,
        place,
      );
      return;
    }
    this.signatures += 1;
    if (!claims.agrees || claims.reason !== entry.reason)
      this.#findings.failure(
        'request-mismatch',
        `${entry.kind} says something else than the request that was signed`,
        place,
      );
    if (login.used.has(claims.jti))
      this.#findings.failure('request-reused', `the signed request of ${entry.kind} was used before`, place);
    login.used.add(claims.jti);
    if (Math.abs(claims.iat * 1000 - Date.parse(entry.time)) > requestSkewMs)
      this.#findings.warning(
        'request-time',
        `the request of ${entry.kind} was signed more than five minutes from its use`,
        place,
      );
  }

  /** An agent acts for whom its issuer named, or for a person whose key said so. */
  #checkActing({ actor, login, delegation, proof, time }: EntryOf<'login'>, index: number): void {
    const fail = (why: string): void =>
      this.#findings.failure('delegation-invalid', `login ${login} acts for a person ${why}`, { index });
    if (actor.kind !== 'agent') fail('and is no agent');
    if (proof?.kind === 'workload-token') return;
    const person = delegation === undefined ? undefined : this.#known.get(delegation.login);
    if (delegation === undefined) fail('who did not say so');
    else if (person === undefined)
      this.#relations.failure(
        'login-unknown',
        `login ${login} names login ${delegation.login}, which the log does not know`,
        { index },
      );
    else {
      const { key, thumbprint } = person.entry;
      const claims = openDelegateRequest(delegation.request, key, thumbprint);
      const on = claims === null ? 0 : (claims.iat + claims.durationSeconds) * 1000 + requestSkewMs;
      if (actor.actsFor === undefined || !samePrincipal(person.entry.actor, actor.actsFor))
        fail('and the signed delegation is of another');
      else if (claims === null) fail('whose key did not sign the delegation');
      else if (!actor.subject.startsWith(`${claims.agent}:`)) fail('who let another agent act');
      else if (Date.parse(time) > on) fail('after the time that was given');
      else this.signatures += 1;
    }
  }

  #sweep(nowMs: number): void {
    for (const [id, { endedMs }] of this.#known) {
      if (endedMs !== null && nowMs - endedMs > rememberMs) this.#known.delete(id);
    }
    this.#sweepAt = this.#known.size + 1000;
  }
}

interface Claimed {
  readonly jti: string;
  readonly iat: number;
  readonly reason: string | null;
  /** What is signed is what the entry says, but for the reason. */
  readonly agrees: boolean;
}

/** Null when the signature or anything about the request is not as it must be. */
function openRequest(entry: Signed, key: EntryOf<'login'>['key'], thumbprint: string): Claimed | null {
  switch (entry.kind) {
    case 'session.opened': {
      const claims = openSessionRequest(entry.request, key, thumbprint);
      return (
        claims && claimed(claims, claims.target === entry.target && (claims.task ?? null) === entry.task)
      );
    }
    case 'session.killed': {
      const claims = openKillRequest(entry.request, key, thumbprint);
      return claims && claimed(claims, claims.session === entry.session);
    }
    case 'agent.delegated': {
      const claims = openDelegateRequest(entry.request, key, thumbprint);
      const { agent, task, targets } = entry;
      const agrees =
        claims !== null &&
        agent.subject.startsWith(`${claims.agent}:`) &&
        (claims.task ?? null) === task &&
        JSON.stringify(claims.targets ?? null) === JSON.stringify(targets);
      return claims && claimed(claims, agrees);
    }
    case 'review.decided': {
      const claims = openDecisionRequest(entry.request, key, thumbprint);
      const { review, decision, digest } = entry;
      const agrees = claims?.review === review && claims.decision === decision && claims.digest === digest;
      return claims && claimed(claims, agrees);
    }
  }
}

const claimed = (
  { jti, iat, reason }: { jti: string; iat: number; reason?: string | undefined },
  agrees: boolean,
): Claimed => ({ jti, iat, reason: reason ?? null, agrees });

type ByPerson = EntryOf<'login'> | Signed;

const samePerson = (a: ByPerson, b: ByPerson): boolean => sameParty(a.actor, b.actor);
