/** Durations and sizes as people write them: `90s`, `1h30m`, `8h`, `7d`; `512KiB`, `64MiB`, `1GiB`. */

const milliseconds: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const bytes: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Milliseconds, or null for a text that is no duration. */
export function parseDurationMs(text: string): number | null {
  if (!/^(\d{1,9}(ms|s|m|h|d))+$/.test(text)) return null;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(count) * milliseconds[unit!]!;
  return total;
}

/** Bytes, or null for a text that is no size. */
export function parseSizeBytes(text: string): number | null {
  const match = /^(\d{1,9})(B|KiB|MiB|GiB)$/.exec(text);
  return match === null ? null : Number(match[1]) * bytes[match[2]!]!;
}

/** The shortest form of a duration that `parseDurationMs` reads back. */
export function formatDurationMs(durationMs: number): string {
  let rest = durationMs;
  let text = '';
  for (const [unit, size] of Object.entries(milliseconds).toReversed()) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}
