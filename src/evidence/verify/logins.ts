/** Logins as the log tells them: whose key signs what. */
import { isDeepStrictEqual } from 'node:util';
import { samePrincipal, sameParty } from '../../model/principal.ts';
import { sessionOf, type Act, type EntryOf } from '../entry.ts';
import type { FailureCode, Findings } from './finding.ts';
import {
  openDecisionRequest,
  openDelegateRequest,
  openKillRequest,
  openReadRequest,
  openResealRequest,
  openSessionRequest,
  thumbprintOf,
} from './signed-request.ts';

interface KnownLogin {
  readonly entry: EntryOf<'login'>;
  /** Its key is the one that it names, and it was always this person's. */
  readonly sound: boolean;
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

/** A signed act and its request, both there. */
type Signed = Act & { readonly login: string; readonly request: string };
const isSigned = (act: Act): act is Signed => act.login !== undefined && act.request !== undefined;

/** What a signature proves. `problem`: the first of what is wrong with it; null: it is by the key of a login of the actor. */
export type CheckedAct =
  | { readonly problem: null; readonly iat: number }
  | { readonly problem: FailureCode | 'attribution-unsigned' };

/** Memory grows with the logins that live at one time, not with the log. */
export class Logins {
  readonly #known = new Map<string, KnownLogin>();
  readonly #findings: Findings;
  readonly #relations: Findings;
  readonly #forgotten: (login: string) => void;
  #sweepAt = 1000;
  /** Signatures by people that were proven. */
  signatures = 0;

  /**
   * @param relations takes what may only be said when no entry is missing
   * @param forgotten told of each login that is no longer remembered
   */
  constructor(findings: Findings, relations: Findings, forgotten: (login: string) => void) {
    this.#findings = findings;
    this.#relations = relations;
    this.#forgotten = forgotten;
  }

  signedIn(entry: EntryOf<'login'>, index: number): void {
    const named = thumbprintOf(entry.key) === entry.thumbprint;
    if (!named)
      this.#findings.failure('login-mismatch', `login ${entry.login} names another key than it holds`, {
        index,
      });
    const before = this.#known.get(entry.login);
    const same = before === undefined || samePerson(before.entry, entry);
    if (!same)
      this.#findings.failure('login-mismatch', `login ${entry.login} was another person's before`, { index });
    if (entry.actor.actsFor !== undefined) this.#checkActing(entry, index);
    this.#known.set(entry.login, {
      entry,
      sound: named && same,
      used: before?.used ?? new Set(),
      endedMs: null,
    });
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
  check(entry: Act, index: number): CheckedAct {
    // Reads of earlier versions carry none.
    if (!isSigned(entry)) return { problem: 'attribution-unsigned' };
    const session = sessionOf(entry);
    const place = { index, ...(session !== null && { session }) };
    const login = this.#known.get(entry.login);
    if (login === undefined) {
      this.#relations.failure(
        'login-unknown',
        `${entry.kind} names login ${entry.login}, which the log does not know`,
        place,
      );
      return { problem: 'login-unknown' };
    }
    const { key, thumbprint } = login.entry;
    const claims = openRequest(entry, key, thumbprint);
    const problems = [...this.#problems(entry, login, claims)];
    for (const { code, message } of problems) this.#findings.failure(code, message, place);
    if (claims !== null) {
      this.signatures += 1;
      login.used.add(claims.jti);
      if (Math.abs(claims.iat * 1000 - Date.parse(entry.time)) > requestSkewMs)
        this.#findings.warning(
          'request-time',
          `the request of ${entry.kind} was signed more than five minutes from its use`,
          place,
        );
    }
    if (claims === null || problems.length > 0) return { problem: problems[0]!.code };
    return login.sound ? { problem: null, iat: claims.iat } : { problem: 'login-mismatch' };
  }

  *#problems(
    entry: Signed,
    { entry: login, endedMs, used }: KnownLogin,
    claims: Claimed | null,
  ): Generator<{ code: FailureCode; message: string }> {
    const { kind, time } = entry;
    if (!samePerson(login, entry))
      yield { code: 'login-mismatch', message: `${kind} is by another person than login ${login.login}` };
    if (endedMs !== null && Date.parse(time) - endedMs > admittedMs)
      yield { code: 'login-over', message: `${kind} is by login ${login.login}, which had ended` };
    if (claims === null) {
      const message = `the request of ${kind} is not signed by the key of login ${login.login}`;
      yield { code: 'signature-invalid', message };
      return;
    }
    if (!claims.agrees)
      yield {
        code: 'request-mismatch',
        message: `${kind} says something else than the request that was signed`,
      };
    if (used.has(claims.jti))
      yield { code: 'request-reused', message: `the signed request of ${kind} was used before` };
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
      if (endedMs === null || nowMs - endedMs <= rememberMs) continue;
      this.#known.delete(id);
      this.#forgotten(id);
    }
    this.#sweepAt = this.#known.size + 1000;
  }
}

interface Claimed {
  readonly jti: string;
  readonly iat: number;
  /** What is signed is what the entry says. */
  readonly agrees: boolean;
}

/** Null when the signature or anything about the request is not as it must be. */
function openRequest(entry: Signed, key: EntryOf<'login'>['key'], thumbprint: string): Claimed | null {
  switch (entry.kind) {
    case 'session.opened': {
      const claims = openSessionRequest(entry.request, key, thumbprint);
      const { target, task, reason } = entry;
      return claims && claimed(claims, { target, task, reason });
    }
    case 'session.killed': {
      const claims = openKillRequest(entry.request, key, thumbprint);
      const { session, reason } = entry;
      return claims && claimed(claims, { session, reason });
    }
    case 'agent.delegated': {
      const claims = openDelegateRequest(entry.request, key, thumbprint);
      const { agent, task, targets, reason } = entry;
      // The account of that name; its number is the relay's.
      const named = claims !== null && agent.subject.startsWith(`${claims.agent}:`);
      return claims && claimed(claims, { agent: named ? claims.agent : null, task, targets, reason });
    }
    case 'review.decided': {
      const claims = openDecisionRequest(entry.request, key, thumbprint);
      const { review, decision, digest, reason } = entry;
      return claims && claimed(claims, { review, decision, digest, reason });
    }
    case 'evidence.read': {
      const claims = openReadRequest(entry.request, key, thumbprint);
      const { action, session, from, to, filters } = entry;
      const said = { action: `evidence.${action}`, session, from, to, filters };
      return claims && claimed({ filters: {}, ...claims }, said);
    }
    case 'originals.resealed': {
      const claims = openResealRequest(entry.request, key, thumbprint);
      const { session, segment, from, to, recipients } = entry;
      return claims && claimed(claims, { session, segment, from, to, recipients });
    }
  }
}

/** @param said by the entry; null there is what the request left out */
function claimed<Claims extends { jti: string; iat: number }>(
  claims: Claims,
  said: { readonly [Name in keyof Claims]?: unknown },
): Claimed {
  const agrees = Object.entries(said).every(([name, value]) =>
    isDeepStrictEqual(claims[name as keyof Claims] ?? null, value),
  );
  return { jti: claims.jti, iat: claims.iat, agrees };
}

const samePerson = (a: EntryOf<'login'>, { actor }: EntryOf<'login'> | Act): boolean =>
  actor.kind !== 'relay' && sameParty(a.actor, actor);
