/** An agent that acts for a person who never said so, or approves for them, is found out by the log alone. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { EvidenceFixture, type TestLogin } from './fixture.ts';

const relay = 'https://relay.example';
const agentOf = ({ actor: { issuer, subject, email } }: TestLogin, name = 'assistant') =>
  ({
    kind: 'agent',
    issuer: relay,
    subject: `${name}:01JD0000000000000000000001`,
    email: null,
    actsFor: { issuer, subject, email },
  }) as const;

const asked = { action: 'agent.delegate', agent: 'assistant', durationSeconds: 600 } as const;
const sha256 = '0'.repeat(64);

function signIn(fixture: EvidenceFixture, person: TestLogin, changes: Partial<EntryOf<'login'>> = {}) {
  return fixture.signIn('assistant', ['assistants'], {
    actor: agentOf(person),
    method: 'delegation',
    proof: { kind: 'delegation', digest: sha256 },
    delegation: { login: person.login, request: person.sign(asked) },
    ...changes,
  });
}

test('a delegation that the person signed, its login and its session verify', async () => {
  await using fixture = await EvidenceFixture.create();
  const ana = await fixture.signIn('ana');
  const request = ana.sign({ ...asked, targets: ['db-prod'] });
  await fixture.log.append({
    kind: 'agent.delegated',
    actor: ana.actor,
    login: ana.login,
    agent: { issuer: relay, subject: agentOf(ana).subject },
    targets: ['db-prod'],
    task: null,
    reason: null,
    expires: new Date(fixture.clock.ms + 600_000).toISOString(),
    policies: [],
    request,
  });
  const agent = await signIn(fixture, ana, { delegation: { login: ana.login, request } });
  await fixture.end(await fixture.open(agent));
  await fixture.log.close();
  const { findings, counts } = await fixture.verify();
  assert.deepEqual(findings, []);
  assert.equal(counts.signatures, 3);
});

const lies: Readonly<
  Record<string, (fixture: EvidenceFixture, ana: TestLogin, ben: TestLogin) => Promise<unknown>>
> = {
  'nobody delegated': (fixture, ana) =>
    fixture.signIn('assistant', [], {
      actor: agentOf(ana),
      method: 'delegation',
      proof: { kind: 'delegation', digest: sha256 },
    }),
  'somebody else signed': (fixture, ana, ben) =>
    signIn(fixture, ana, { delegation: { login: ana.login, request: ben.sign(asked) } }),
  'the login is somebody else’s': (fixture, ana, ben) =>
    signIn(fixture, ana, { delegation: { login: ben.login, request: ben.sign(asked) } }),
  'another agent was meant': (fixture, ana) => signIn(fixture, ana, { actor: agentOf(ana, 'other') }),
  'its time was over': (fixture, ana) =>
    signIn(fixture, ana, {
      delegation: {
        login: ana.login,
        request: ana.sign({ ...asked, iat: Math.floor(fixture.clock.ms / 1000) - 3600 }),
      },
    }),
  'it is no agent': (fixture, ana) => signIn(fixture, ana, { actor: { ...agentOf(ana), kind: 'service' } }),
};

for (const [what, lie] of Object.entries(lies))
  test(`an agent acts for Ana, and ${what}`, async () => {
    await using fixture = await EvidenceFixture.create();
    const [ana, ben] = [await fixture.signIn('ana'), await fixture.signIn('ben')];
    await lie(fixture, ana, ben);
    await fixture.log.close();
    assert.deepEqual(await fixture.codes(), ['delegation-invalid@3']);
  });

test('an entry that leaves out for whom the agent acted is by another than its login', async () => {
  await using fixture = await EvidenceFixture.create();
  const agent = await signIn(fixture, await fixture.signIn('ana'));
  const { actsFor: _, ...alone } = agent.actor;
  await fixture.end(await fixture.open(agent, { actor: alone }));
  await fixture.log.close();
  assert.deepEqual(await fixture.codes(), ['login-mismatch@3']);
});
