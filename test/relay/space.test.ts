/** Room for the record on a real small file system: told, held back, given back, and made whole again. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { isOutOfSpace, Reserve } from '../../src/evidence/space/reserve.ts';
import { parseConfig } from '../../src/relay/config/config.ts';
import type { RelayLogger } from '../../src/relay/logging.ts';
import { BreakGlass } from '../../src/relay/space/break-glass.ts';
import { levelOf } from '../../src/relay/space/measure.ts';
import { Room } from '../../src/relay/space/room.ts';
import { systemClock } from '../../src/system/clock.ts';
import { eventually } from '../support/eventually.ts';

const MiB = 2 ** 20;
const logger: RelayLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  flush: () => undefined,
};

const disk = mkdtempSync(path.join(tmpdir(), 'hoop-space-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { encoding: 'utf8' });
const skip = mounted.status === 0 ? false : `no tmpfs can be mounted: ${mounted.stderr}`;
after(() => {
  if (skip === false) spawnSync('umount', ['-l', disk]);
  rmSync(disk, { recursive: true, force: true });
});
const settled = (ask: () => string[], expected: string[]): Promise<unknown> =>
  eventually(String(expected), () => String(ask()) === String(expected));
let number = 0;
const fresh = (): string => mkdtempSync(path.join(disk, `${number++}-`));
const fill = (file: string, bytes: number): void => writeFileSync(file, Buffer.alloc(bytes, 'x'));

async function openRoom(directory: string, reserveBytes = 8 * MiB) {
  const reserve = await Reserve.open(directory, reserveBytes);
  const [warn, critical] = [{ percent: 50 }, { bytes: 8 * MiB }];
  const room = new Room({ directory, warn, critical, reserve, clock: systemClock, logger });
  await room.look();
  const entries: NewEntry[] = [];
  const script = { unsettled: false, ended: 0 };
  const append = async (entry: NewEntry): Promise<void> => {
    room.admitEntry(entry.kind);
    entries.push(entry);
  };
  const endSessions = (): void => void (script.ended += 1);
  const hooks = { append, logReady: () => true, unsettled: () => script.unsettled, endSessions };
  const kinds = (): string[] =>
    entries.map((entry) => (entry.kind === 'storage.low' ? `low: ${entry.level}` : entry.kind));
  return { room, reserve, entries, kinds, script, hooks };
}

test('levels by share and by size, and not told again at each byte', () => {
  const limits = { warn: { percent: 10 }, critical: { bytes: 50 } };
  const level = (availableBytes: number, before: 'enough' | 'low' | 'critical') =>
    levelOf({ availableBytes, totalBytes: 1000 }, limits, before);
  assert.equal(level(100, 'enough'), 'enough');
  assert.equal(level(99, 'enough'), 'low');
  assert.equal(level(105, 'low'), 'low');
  assert.equal(level(110, 'low'), 'enough');
  assert.equal(level(49, 'low'), 'critical');
  assert.equal(level(54, 'critical'), 'critical');
  assert.equal(level(55, 'critical'), 'low');
});

const parse = (space: string) =>
  parseConfig('/etc/hoop/relay.yaml', `dataDir: .\nevidence: { space: ${space} }\n`).evidence.space;

test('shares and sizes in relay.yaml; what contradicts itself is refused', () => {
  assert.deepEqual(parse('{}'), {
    warn: { percent: 10 },
    critical: { percent: 5 },
    reserveBytes: 64 * MiB,
  });
  assert.deepEqual(parse('{ warn: 20GiB, critical: 3%, reserve: 1GiB }'), {
    warn: { bytes: 20 * 1024 * MiB },
    critical: { percent: 3 },
    reserveBytes: 1024 * MiB,
  });
  const wrong = [
    '{ warn: 5%, critical: 6% }',
    '{ warn: 1GiB, critical: 2GiB }',
    '{ warn: 100% }',
    '{ reserve: 1MiB }',
  ];
  for (const space of wrong) assert.throws(() => parse(space), { code: 'config-invalid' }, space);
});

test(
  'the reserve has its blocks, gives them back in parts, and is made whole or left as it was',
  { skip },
  async () => {
    const directory = fresh();
    const reserve = await Reserve.open(directory, 4 * MiB);
    assert.equal(reserve.heldBytes, 0);
    assert.equal(await reserve.refill(MiB), true);
    const file = path.join(directory, 'reserve');
    assert.equal(statSync(file).size, 4 * MiB);
    assert.ok(statSync(file).blocks * 512 >= 4 * MiB);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(reserve.release(MiB), MiB);
    assert.equal((await Reserve.open(directory, 4 * MiB)).heldBytes, 3 * MiB, 'as it was left');
    const ballast = path.join(directory, 'ballast');
    assert.throws(() => fill(ballast, 64 * MiB), isOutOfSpace);
    assert.equal(await reserve.refill(0), false);
    assert.equal(reserve.heldBytes, 3 * MiB);
    assert.equal(statSync(file).size, 3 * MiB);
    rmSync(ballast);
    assert.equal(await reserve.refill(0), true);
    assert.equal(reserve.release(9 * MiB), 4 * MiB);
    assert.equal(reserve.release(1), 0);
    spawnSync('truncate', ['-s', '4M', file]);
    assert.equal((await Reserve.open(directory, 4 * MiB)).heldBytes, 0, 'a sparse file holds nothing');
    rmSync(directory, { recursive: true });
  },
);

test(
  'short, then full: sessions end, closing entries have room, and all is well again by itself',
  { skip },
  async () => {
    const directory = fresh();
    const { room, kinds, entries, script, hooks } = await openRoom(directory);
    assert.equal(room.reserveBytes, 8 * MiB);
    room.watch(hooks);
    const ballast = path.join(directory, 'ballast');
    fill(ballast, 12 * MiB);
    await settled(kinds, ['low: low']);
    fill(ballast, 18 * MiB);
    await settled(kinds, ['low: low', 'low: critical']);
    assert.equal(script.ended, 0);
    script.unsettled = true;
    assert.throws(
      () => fill(path.join(directory, 'more'), 20 * MiB),
      (error) => {
        room.writeFailed(new Error('a recording', { cause: error }));
        return isOutOfSpace(error);
      },
    );
    assert.equal(room.open, false, 'at once');
    assert.equal(script.ended, 1);
    assert.throws(() => room.admitEntry('login'), { code: 'log-write-failed' });
    assert.doesNotThrow(() => room.admitEntry('session.closed'));
    await eventually('a part is given back', () => room.reserveBytes === 6 * MiB);
    fill(path.join(directory, 'closing'), MiB);
    script.unsettled = false;
    await eventually('its entry', () => kinds().at(-1) === 'low: full');
    rmSync(path.join(directory, 'more'));
    rmSync(ballast);
    await eventually('its entry', () => kinds().at(-1) === 'storage.recovered');
    assert.equal(room.open, true);
    assert.equal(room.reserveBytes, 8 * MiB, 'whole before anything else');
    const gap = entries.find((entry) => entry.kind === 'gap');
    assert.equal(gap?.count, 1, 'the refused login');
    assert.doesNotThrow(() => room.admitEntry('login'));
    room.close();
    rmSync(directory, { recursive: true });
  },
);

test('without room for the reserve nothing opens; with room everything does', { skip }, async () => {
  const directory = fresh();
  const ballast = path.join(directory, 'ballast');
  fill(ballast, 26 * MiB);
  const { room, hooks, kinds } = await openRoom(directory);
  assert.equal(room.open, false);
  room.watch(hooks);
  await settled(kinds, ['low: full']);
  rmSync(ballast);
  await eventually('room again', () => room.open === true);
  room.close();
  rmSync(directory, { recursive: true });
});

const ana = { issuer: 'https://idp.example', subject: 'ana' };
const bob = { issuer: 'https://idp.example', subject: 'bob' };
const asked = { reason: 'the database is down', operator: 'root', people: [ana], forMs: 60_000 };

test(
  'break-glass: those named, for a while, out of the reserve but for its last part',
  { skip },
  async () => {
    const directory = fresh();
    const { room, hooks, entries, kinds, script } = await openRoom(directory);
    room.watch(hooks);
    const { append, endSessions } = hooks;
    const glass = new BreakGlass({ room, append, clock: systemClock, logger, endSessions });
    assert.equal(glass.admit(bob), null, 'there is room for all');
    await assert.rejects(glass.open(asked), { code: 'space-not-full' });
    const ballast = path.join(directory, 'ballast');
    assert.throws(
      () => fill(ballast, 64 * MiB),
      (error) => (room.writeFailed(error), true),
    );
    assert.throws(() => glass.admit(ana), { code: 'evidence-unavailable' });
    const opened = await glass.open(asked);
    assert.equal(opened.bytes, 4 * MiB, 'a quarter is given back, a quarter is kept');
    assert.equal(room.reserveBytes, 2 * MiB);
    assert.equal(room.open, false);
    assert.doesNotThrow(() => room.admitEntry('session.opened'));
    assert.throws(() => glass.admit(bob), { code: 'evidence-unavailable' });
    const use = glass.admit(ana)!;
    assert.ok(use.remainingMs <= 60_000 && use.remainingMs > 0);
    glass.used(use);
    await assert.rejects(glass.open(asked), { code: 'break-glass-open' });

    const endedBefore = script.ended;
    assert.throws(
      () => fill(path.join(directory, 'recording'), 9 * MiB),
      (error) => (room.writeFailed(error), true),
    );
    assert.equal(glass.isOpen, false, 'what was lent is used up');
    assert.equal(script.ended, endedBefore + 1);
    assert.throws(() => glass.admit(ana), { code: 'evidence-unavailable' });
    assert.throws(() => room.admitEntry('session.opened'), { code: 'log-write-failed' });
    await eventually('its end', () => kinds().includes('break-glass.ended'));
    const ended = entries.find((entry) => entry.kind === 'break-glass.ended');
    assert.deepEqual([ended?.outcome, ended?.sessions], ['reserve-used-up', 1]);
    await assert.rejects(glass.open(asked), { code: 'reserve-used-up' });
    assert.equal(room.reserveBytes, 2 * MiB, 'what closes things has room still');
    room.close();
    rmSync(directory, { recursive: true });
  },
);

test('break-glass ends at its time, and when there is room again', { skip }, async () => {
  const directory = fresh();
  const { room, hooks, entries } = await openRoom(directory);
  room.watch(hooks);
  const { append, endSessions } = hooks;
  const glass = new BreakGlass({ room, append, clock: systemClock, logger, endSessions });
  const ballast = path.join(directory, 'ballast');
  assert.throws(
    () => fill(ballast, 64 * MiB),
    (error) => (room.writeFailed(error), true),
  );
  const outcomes = () =>
    entries.flatMap((entry) => (entry.kind === 'break-glass.ended' ? [entry.outcome] : []));
  await glass.open({ ...asked, forMs: 50 });
  await settled(outcomes, ['expired']);
  rmSync(ballast);
  await eventually('room again', () => room.open === true);
  assert.throws(
    () => fill(ballast, 64 * MiB),
    (error) => (room.writeFailed(error), true),
  );
  await glass.open(asked);
  rmSync(ballast);
  await settled(outcomes, ['expired', 'space-back']);
  assert.equal(glass.admit(bob), null);
  room.close();
  rmSync(directory, { recursive: true });
});

const refuse = (): Promise<never> => Promise.reject(new Error('no'));

test('a log that does not take the opening lets nobody in', { skip }, async () => {
  const directory = fresh();
  const { room, hooks } = await openRoom(directory);
  room.watch(hooks);
  const glass = new BreakGlass({
    room,
    append: refuse,
    clock: systemClock,
    logger,
    endSessions: hooks.endSessions,
  });
  assert.throws(
    () => fill(path.join(directory, 'ballast'), 64 * MiB),
    (error) => (room.writeFailed(error), true),
  );
  await assert.rejects(glass.open(asked));
  assert.throws(() => glass.admit(ana), { code: 'evidence-unavailable' });
  assert.throws(() => room.admitEntry('session.opened'), { code: 'log-write-failed' });
  room.close();
  rmSync(directory, { recursive: true });
});
