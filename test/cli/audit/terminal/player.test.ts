import { test } from 'node:test';
import assert from 'node:assert/strict';
import { KeyReader } from '../../../../src/cli/audit/terminal/keyboard.ts';
import { Player, type ChannelView, type PlayerKey } from '../../../../src/cli/audit/terminal/player.ts';
import type { Pace } from '../../../../src/cli/audit/pace.ts';
import type { StreamView } from '../../../../src/wire/audit.ts';

const at = (seconds: number) => ({ micros: 7_000_000 + seconds * 1e6, channel: 1 });
const output = (seconds: number, text: string): StreamView => ({
  ...at(seconds),
  kind: 'output',
  bytes: Buffer.from(text).toString('base64'),
});

/** A program that says its seconds, one character each: 0 to 9 and a to z, every second. */
const letters = [...'0123456789abcdefghijklmnopqrstuvwxyz'];
const recorded: StreamView[] = [
  { ...at(0), kind: 'opened', type: 'shell', term: 'xterm' },
  { ...at(0), kind: 'window', columns: 80, rows: 24 },
  ...letters.map((letter, second) => output(second, letter)),
  { ...at(100_000), kind: 'closed', reason: 'ended' },
];

class Screen implements ChannelView {
  /** A reset is `|`. */
  text = '';
  /** Called after each letter, with all that is shown. */
  onShown: (text: string) => void = () => undefined;
  shows = (item: StreamView): boolean => item.kind === 'output';
  async take(item: StreamView): Promise<void> {
    if (!('bytes' in item)) return;
    this.text += Buffer.from(item.bytes, 'base64').toString();
    this.onShown(this.text);
  }
  async reset(): Promise<void> {
    this.text += '|';
  }
}

function stage(items: readonly StreamView[], pace: Partial<Pace> | null) {
  const screen = new Screen();
  let opened = 0;
  const player = new Player({
    open: async function* () {
      opened++;
      yield* items;
    },
    view: screen,
    pace: pace === null ? null : { speed: 1, maxIdleMs: 1, fromMs: 0, ...pace },
  });
  const when = (text: string, ...keys: PlayerKey[]): void => {
    const before = screen.onShown;
    let pressed = false;
    screen.onShown = (shown) => {
      before(shown);
      if (!pressed && shown.endsWith(text)) {
        pressed = true;
        for (const key of keys) player.press(key);
      }
    };
  };
  return { screen, player, when, opened: () => opened };
}

const whole = letters.join('');

test('plays to the end: without pauses, at its pace, and with pauses cut', async () => {
  for (const pace of [null, {}, { speed: 1000, maxIdleMs: 1e9 }]) {
    const { screen, player } = stage(recorded, pace);
    await player.run();
    assert.equal(screen.text, whole);
  }
});

test('the pace is that of the record and of the speed', async () => {
  const { player } = stage([output(0, 'a'), output(0.2, 'b')], { maxIdleMs: 1e9, speed: 2 });
  const began = performance.now();
  await player.run();
  assert.ok(performance.now() - began >= 95);
});

test('from a moment on: what was before it is shown at once', async () => {
  const items = [output(0, 'a'), output(3600, 'b'), output(3600.01, 'c')];
  const { screen, player } = stage(items, { fromMs: 3_600_000, maxIdleMs: 1e9 });
  await player.run();
  assert.equal(screen.text, 'abc');
});

test('forward shows five seconds at once, back shows everything again up to five seconds before', async () => {
  const there = stage(recorded, { maxIdleMs: 1e9 });
  // An hour's pauses would not end, but for the keys.
  there.when('0', 'forward', 'forward', 'forward', 'forward', 'forward', 'forward', 'forward');
  await there.player.run();
  assert.equal(there.screen.text, whole);

  const back = stage(recorded, {});
  back.when('9', 'back');
  await back.player.run();
  assert.equal(back.screen.text, `0123456789|${whole}`);
  assert.equal(back.opened(), 1);
});

test('back while it is paused shows what was there then, and a step one more', async () => {
  const { screen, player, when } = stage(recorded, {});
  when('9', 'pause', 'back');
  let steps = 0;
  const shown = screen.onShown;
  screen.onShown = (text) => {
    shown(text);
    // After going back: 0 to 4 at once; the fifth second and the one after it by steps.
    if (text.endsWith('|01234') || (steps > 0 && steps < 3)) {
      steps++;
      setImmediate(() => player.press('step'));
    } else if (steps === 3) setImmediate(() => player.press('quit'));
  };
  await player.run();
  assert.equal(screen.text, '0123456789|01234567');
});

test('a pause lasts until it is lifted, whatever time goes by', async () => {
  const { screen, player, when } = stage(recorded, {});
  when('3', 'pause');
  const ended = player.run();
  while (!screen.text.endsWith('3')) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(screen.text, '0123');
  player.press('pause');
  await ended;
  assert.equal(screen.text, whole);
});

test('quit ends it at once, in a pause too', async () => {
  const { screen, player, when } = stage(recorded, { maxIdleMs: 1e9 });
  when('0', 'pause', 'quit');
  await player.run();
  assert.equal(screen.text, '0');
});

test('faster and slower', async () => {
  const fast = stage([output(0, 'a'), output(100, 'b')], { maxIdleMs: 1e9 });
  fast.when('a', ...Array.from({ length: 20 }, () => 'faster' as const));
  const began = performance.now();
  await fast.player.run();
  assert.ok(performance.now() - began < 10_000);
  const slow = stage([output(0, 'a'), output(0.02, 'b')], { maxIdleMs: 1e9 });
  slow.when('a', 'slower', 'slower');
  const slowly = performance.now();
  await slow.player.run();
  assert.ok(performance.now() - slowly >= 75);
});

test('a long recording is not kept: to go back it is asked for again', async () => {
  const much = Buffer.alloc(200_000, 'x').toString();
  const items = letters.map((_, second) => output(second, much)).concat(output(40, 'END'), output(41, '.'));
  const { screen, player, when, opened } = stage(items, {});
  when('END', 'back');
  await player.run();
  assert.equal(opened(), 2);
  assert.equal(screen.text.length, 2 * (letters.length * much.length) + 1 + 2 * 3 + 1);
});

test('keys are found however a terminal’s bytes are cut, and its answers are none', () => {
  const typed = ' .\x1b[C\x1b[D\x1bOC+=-_q\x03\x1b[6;1Rx\x1b[?1;2c\x1b[A\x1b[1;5C';
  const expected: PlayerKey[] = [
    ...(['pause', 'step', 'forward', 'back', 'forward'] as const),
    ...(['faster', 'faster', 'slower', 'slower', 'quit', 'quit'] as const),
  ];
  for (const size of [1, 2, 3, 100]) {
    const reader = new KeyReader();
    const found: PlayerKey[] = [];
    for (let begin = 0; begin < typed.length; begin += size)
      found.push(...reader.read(typed.slice(begin, begin + size)));
    assert.deepEqual(found, expected);
  }
});
