/** Times as an export writes them, very many of them close to each other. */

const thousandths = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`);

/** The last one that was written: nearly always the next one's too. */
let second = NaN;
let upToSecond = '';

/** RFC 3339, UTC, milliseconds. @throws RangeError as `Date` does */
export function formatMoment(ms: number): string {
  const whole = Math.floor(ms / 1000);
  if (whole !== second) {
    upToSecond = new Date(whole * 1000).toISOString().slice(0, -4);
    second = whole;
  }
  return upToSecond + thousandths[ms - whole * 1000]!;
}
