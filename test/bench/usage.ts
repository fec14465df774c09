/** What a process has used, as the kernel counts it (Linux). */
import { readFileSync } from 'node:fs';

const ticksPerSecond = 100; // USER_HZ, fixed in the kernel's interface

/** User and system time so far, all threads, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // The name in parentheses may hold spaces: count from behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** Resident memory in KiB. */
export function residentKiB(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids)
    sum += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return sum;
}
