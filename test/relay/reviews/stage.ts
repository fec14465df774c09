/**
 * Reviews of real parts: state, log, policies, desk, routes, people with keys of their own. Only the gate is played by the
 * test, and who calls is said by a header instead of a token.
 */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { unknownAuthentication } from '../../../src/model/authentication.ts';
import type { NewEntry } from '../../../src/evidence/entry.ts';
import { createSigner } from '../../../src/evidence/log/key-file.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import type { HeldCommand, HeldListener, ReviewAnswer } from '../../../src/gate/reviews.ts';
import type { ReviewNotice } from '../../../src/gate/gate.ts';
import type { Authenticated } from '../../../src/identity/authenticator.ts';
import { generateLoginKey, importLoginKey, type LoginKey } from '../../../src/identity/login-key.ts';
import { makeSignedRequest } from '../../../src/identity/signed-request.ts';
import { mintPrincipal } from '../../../src/identity/verified-principal.ts';
import type { LoginId, SessionId, TargetName } from '../../../src/model/ids.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import { reviewRoutes } from '../../../src/relay/api/reviews.ts';
import { ReviewDesk } from '../../../src/relay/reviews/desk.ts';
import type { ReviewObserver } from '../../../src/relay/reviews/held-review.ts';
import { State } from '../../../src/relay/state/state.ts';
import { tellingLogins, type Append } from '../../../src/relay/told-logins.ts';
import type { LoginEntry } from '../../../src/relay/state/logins.ts';
import { ulid } from '../../../src/system/ulid.ts';
import type { SessionOpenClaims } from '../../../src/wire/api.ts';
import { ReviewView, type ReviewDecisionClaims } from '../../../src/wire/reviews.ts';
import { ShiftedClock } from '../idp/relay.ts';

const relay = 'https://relay.example';
const issuer = 'https://idp.example';
const policy = `
@id("reviewers") permit (principal, action == Action::"review", resource)
when { principal in Group::"dba-leads" || principal in Group::"security" || principal in Group::"watchers" };
`;

/** ana asks; ana is a lead too, which must not help her. */
const people = {
  ana: ['dba-leads', 'engineering'],
  ben: ['dba-leads'],
  dan: ['dba-leads'],
  cleo: ['security'],
  walt: ['watchers'],
  eve: ['engineering'],
};
export type Name = keyof typeof people;

interface Person extends Authenticated {
  readonly key: LoginKey;
}

export type Stage = Awaited<ReturnType<typeof startStage>>;

export interface StageOptions {
  /** Of the state; a file of its own when absent. */
  readonly location?: string;
  readonly expiresAfterMs?: number;
  readonly observe?: Partial<ReviewObserver>;
}

export async function startStage(options: StageOptions = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-reviews-'));
  const clock = new ShiftedClock();
  const troubles: unknown[] = [];
  const state = await State.open(options.location ?? path.join(directory, 'state.db'), {
    clock,
    onError: (error) => void troubles.push(error),
  });
  const evidence = path.join(directory, 'evidence');
  mkdirSync(evidence);
  const signer = await createSigner(path.join(directory, 'log.key'), 'relay.example/log');
  const log = await Log.open({ directory: path.join(evidence, 'log'), signer, clock, checkpointMs: 20 });
  const script = { append: (entry: NewEntry) => log.append(entry) };
  const append = tellingLogins((entry) => script.append(entry), state.logins, 'relay.example/log');
  await append({
    kind: 'relay.started',
    actor: { kind: 'relay' },
    version: '1',
    configDigest: '0'.repeat(64),
  });
  const processId = ulid(Date.now());
  const desk = new ReviewDesk({
    processId,
    append,
    clock,
    state: state.reviews,
    expiresAfterMs: options.expiresAfterMs ?? 60_000,
    observe: {
      requested: () => undefined,
      over: () => undefined,
      trouble: (what, error) => void troubles.push([what, error]),
      ...options.observe,
    },
  });
  const callers = new Map<string, Person>();
  const policies = Policies.parse([{ name: 'policy', text: policy }]);
  const app = fastify({ forceCloseConnections: true });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  reviewRoutes(app, {
    config: { publicUrl: relay, targets: new Map() },
    policies: () => policies,
    desk,
    state: state.reviews,
    attempts: state.attempts,
    replay: state.replay,
    clock,
    append,
    authenticate: async (request) => callers.get(String(request.headers['x-caller']))!,
  });
  const parts = { state, clock, append, callers, app, desk };
  return {
    ...parts,
    directory,
    evidence,
    processId,
    log,
    script,
    troubles,
    policies,
    principalOf,
    signIn: (name: Name, groups?: string[]) => signIn(parts, name, groups),
    decide: (name: Name, review: string, claims: Partial<ReviewDecisionClaims> = {}) =>
      decide(parts, name, review, claims),
    get: (name: Name, url: string) => app.inject({ url, headers: { 'x-caller': name } }),
    openSession: (deadlineMs?: number) => openSession({ ...parts, processId }, deadlineMs),
    entries: async () => {
      const found: NewEntry[] = [];
      for await (const { entry } of readEntries(evidence))
        if (entry.kind !== 'log.key-rotated') found.push(entry);
      return found;
    },
    verify: async () => {
      await log.checkpoint();
      const { findings } = await verify({ directory: evidence, vkey: signer.verifier.toString() });
      return findings.map(({ code, message }) => `${code}: ${message}`);
    },
    close: async () => {
      desk.close();
      await app.close();
      await log.close();
      await state.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Parts {
  readonly state: State;
  readonly clock: ShiftedClock;
  readonly append: Append;
  readonly callers: Map<string, Person>;
  readonly app: FastifyInstance;
  readonly desk: ReviewDesk;
}

const principalOf = (name: Name, groups: string[]) =>
  mintPrincipal({ kind: 'person', issuer, subject: name, email: `${name}@example.com`, groups });

async function signIn(parts: Parts, name: Name, groups: string[] = people[name]): Promise<Person> {
  const { state, clock, append, callers } = parts;
  const known = callers.get(name);
  if (known !== undefined) return known;
  const key = await importLoginKey(await generateLoginKey());
  const login = ulid(clock.wallMs()) as LoginId;
  const email = `${name}@example.com`;
  const principal = principalOf(name, groups);
  const entry: LoginEntry = {
    kind: 'login',
    actor: { kind: 'person', issuer, subject: name, email },
    login,
    renews: null,
    groups: [...principal.groups],
    method: 'device-code',
    key: key.publicJwk,
    thumbprint: key.jkt,
    binding: 'bound-by-relay',
    idTokenDigest: '0'.repeat(64),
  };
  await append(entry);
  const { jkt, publicJwk } = key;
  const validUntilMs = clock.wallMs() + 3_600_000;
  const authentication = unknownAuthentication;
  await state.logins.open({ id: login, principal, jkt, publicJwk, authentication, validUntilMs, entry });
  const person = { principal, login, jkt, publicJwk, authentication, scope: null, key };
  callers.set(name, person);
  return person;
}

/** A decision as a careful reviewer makes it: looks, then signs what was shown; `claims` says something else instead. */
async function decide(
  parts: Parts,
  name: Name,
  review: string,
  claims: Partial<ReviewDecisionClaims>,
): Promise<{ status: number; code: string; view: ReviewView | null; request: string }> {
  const { key } = await signIn(parts, name);
  const shown = await parts.app.inject({ url: `/v1/reviews/${review}`, headers: { 'x-caller': name } });
  const digest = shown.statusCode === 200 ? ReviewView.parse(shown.json()).digest : 'f'.repeat(64);
  const action = { v: 1, action: 'review.decide', relay, review, decision: 'approve', digest } as const;
  const request = await makeSignedRequest<ReviewDecisionClaims>(key, { ...action, ...claims }, parts.clock);
  return { ...(await send(parts.app, name, review, request)), request };
}

/** A signed request as it is, by whoever. */
export async function send(app: FastifyInstance, name: Name, review: string, request: string) {
  const answer = await app.inject({
    method: 'POST',
    url: `/v1/reviews/${review}/decision`,
    headers: { 'x-caller': name },
    payload: { request },
  });
  const body: unknown = answer.json();
  const code = typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : '';
  const view = answer.statusCode === 200 ? ReviewView.parse(body) : null;
  return { status: answer.statusCode, code, view };
}

export interface Held {
  readonly notice: Promise<ReviewNotice>;
  readonly answer: Promise<ReviewAnswer>;
  /** In order. */
  readonly heard: string[];
  withdraw(why: 'cancelled' | 'disconnected' | 'session-ended'): void;
}

async function openSession(parts: Parts & { processId: string }, deadlineMs?: number) {
  const { clock, append, state, desk, processId } = parts;
  const { key, login, principal } = await signIn(parts, 'ana');
  const id = ulid(clock.wallMs()) as SessionId;
  const target = 'db' as TargetName;
  const claims = { v: 1, action: 'session.open', relay, target, reason: 'incident 7' } as const;
  const deadline = deadlineMs ?? clock.wallMs() + 3_600_000;
  const { kind, subject, email } = principal;
  await append({
    kind: 'session.opened',
    actor: { kind, issuer, subject, email },
    session: id,
    login,
    target,
    protocol: 'postgres',
    reason: 'incident 7',
    task: null,
    deadline: new Date(deadline).toISOString(),
    policies: [],
    request: await makeSignedRequest<SessionOpenClaims>(key, claims, clock),
  });
  const facts = { id, login, target, processId, reason: 'incident 7', task: null };
  await state.sessions.open({ ...facts, openedAtMs: clock.wallMs(), deadlineMs: deadline });
  const reviews = desk.session({ ...facts, principal, deadlineMs: deadline });
  let commands = 0;
  const hold = (changes: Partial<HeldCommand> & { sql?: string } = {}): Held => {
    const { sql = 'delete from customers where id = $1', ...rest } = changes;
    const [noticed, answered] = [
      Promise.withResolvers<ReviewNotice>(),
      Promise.withResolvers<ReviewAnswer>(),
    ];
    const heard: string[] = [];
    const listener: HeldListener = {
      held: (notice) => (heard.push('held'), noticed.resolve(notice)),
      decided: (answer) => (heard.push(answer.approved ? 'approved' : 'refused'), answered.resolve(answer)),
    };
    const held: HeldCommand = {
      connection: 1,
      command: ++commands,
      text: Buffer.from(sql),
      parameters: null,
      parameterTypes: [],
      encoding: 'UTF8',
      facts: { effects: ['delete'], relations: ['customers'], functions: [], programs: [] },
      policies: ['deletes-need-review'],
      needed: [{ group: 'dba-leads', count: 1 }],
      ...rest,
    };
    const { withdraw } = bound(reviews.request(held, listener));
    heard.push('returned');
    return { notice: noticed.promise, answer: answered.promise, heard, withdraw };
  };
  const close = () =>
    append({
      kind: 'session.closed',
      actor: { kind: 'relay' },
      session: id,
      outcome: 'ended',
      lastSegment: null,
      totals: { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 },
    });
  return { id, hold, close };
}

const bound = (held: ReturnType<ReturnType<ReviewDesk['session']>['request']>) => ({
  withdraw: (why: Parameters<typeof held.withdraw>[0]) => held.withdraw(why),
});
