/**
 * For what gives no event: asks again until the answer is something. The bound only ends a test that would otherwise never end; no
 * test claims a time by it.
 */
import { setTimeout as pause } from 'node:timers/promises';

export async function eventually<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false | ''> | T | null | undefined | false | '',
  boundMs = 60_000,
): Promise<T> {
  const end = performance.now() + boundMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`never came true: ${what}`);
    await pause(20);
  }
}
