/** What identity is given in its tests: a clock that stands still, a replay cache in memory. */
import type { ReplayCache } from '../../src/identity/replay.ts';
import { generateLoginKey, importLoginKey, type LoginKey } from '../../src/identity/login-key.ts';
import type { Clock } from '../../src/system/clock.ts';

export class StoppedClock implements Clock {
  nowMs = 1_800_000_000_000;
  wallMs(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
}

export class MemoryReplay implements ReplayCache {
  readonly ids = new Set<string>();
  async firstUse(id: string): Promise<boolean> {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    return true;
  }
}

export const newKey = async (): Promise<LoginKey> => importLoginKey(await generateLoginKey());
