/** What must not go on after an end: a login, a session, a segment's unsealed form. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { relayActor } from '../../../src/evidence/entry.ts';
import { EvidenceFixture } from './fixture.ts';

test('finds a login that is used after its end, but not what was on the way when it ended', async () => {
  await using fixture = await EvidenceFixture.create();
  const ana = await fixture.signIn('ana');
  await fixture.log.append({ kind: 'login.ended', actor: relayActor, login: ana.login, reason: 'logout' });
  await fixture.end(await fixture.open(ana));
  fixture.clock.ms += 61_000;
  const late = await fixture.open(ana);
  await fixture.kill(late, ana);
  await fixture.end(late);
  await fixture.log.close();
  const { findings } = await fixture.verify();
  assert.deepEqual(
    findings.map(({ code, session }) => [code, session]),
    [
      ['login-over', late.session],
      ['login-over', late.session],
    ],
  );
});

test('finds a session that was closed after the relay had started again', async () => {
  await using fixture = await EvidenceFixture.create();
  const session = await fixture.open(await fixture.signIn('ana'));
  await fixture.start();
  await fixture.end(session);
  await fixture.log.close();
  assert.deepEqual(await fixture.codes(), [`session-closed-late@${fixture.log.size - 1}`]);
});

test('names unsealed files beside the segments of a closed session, and of no open one', async () => {
  await using fixture = await EvidenceFixture.create();
  const ana = await fixture.signIn('ana');
  const [closed, open] = [await fixture.open(ana), await fixture.open(ana)];
  for (const session of [closed, open]) {
    await fixture.segment(session);
    const sealed = fixture.segmentPath(session, 0);
    await copyFile(sealed, sealed.replace(/\.zst$/, ''));
    await copyFile(sealed, `${sealed}.tmp`);
  }
  await fixture.end(closed);
  await fixture.log.close();
  const { findings } = await fixture.verify();
  assert.deepEqual(
    findings
      .filter(({ code }) => code !== 'session-unfinished')
      .map(({ code, severity, session, file }) => [code, severity, session, path.basename(file ?? '')])
      .toSorted(),
    [
      ['recording-leftover', 'warning', closed.session, '0.cbor'],
      ['recording-leftover', 'warning', closed.session, '0.cbor.zst.tmp'],
    ],
  );
});

test('break-glass is told, and found when it is used by others or after its end', async () => {
  await using fixture = await EvidenceFixture.create();
  const [ana, bob] = [await fixture.signIn('ana'), await fixture.signIn('bob')];
  const breakGlass = '01JD0000000000000000000009';
  const { issuer, subject } = ana.actor;
  await fixture.log.append({
    kind: 'break-glass.opened',
    actor: relayActor,
    breakGlass,
    reason: 'INC-4711',
    operator: 'root',
    people: [{ issuer, subject }],
    expires: new Date(fixture.clock.ms + 900_000).toISOString(),
    bytes: 1_000_000,
  });
  const use = async (by: typeof ana): Promise<string> => {
    const opened = await fixture.open(by);
    const { session } = opened;
    await fixture.log.append({ kind: 'break-glass.used', actor: by.actor, breakGlass, session });
    await fixture.end(opened);
    return session;
  };
  await use(ana);
  const byOther = await use(bob);
  const ended = { kind: 'break-glass.ended', actor: relayActor, breakGlass } as const;
  await fixture.log.append({ ...ended, outcome: 'expired', sessions: 2 });
  const late = await use(ana);
  await fixture.log.append({ ...ended, outcome: 'expired', sessions: 3 });
  await fixture.log.close();
  const { findings } = await fixture.verify();
  assert.deepEqual(
    findings.map(({ code, severity, session }) => [code, severity, session]),
    [
      ['break-glass-opened', 'warning', null],
      ['break-glass-invalid', 'failure', byOther],
      ['break-glass-invalid', 'failure', late],
      ['break-glass-invalid', 'failure', null],
    ],
  );
});
