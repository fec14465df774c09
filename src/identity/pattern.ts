/**
 * Patterns over claims, anchored at both ends and sensitive to case: `*` stands for any characters but `:` and `/`, so that it
 * never reaches past the part of a name that it stands in; `**` stands for any at all, and only as a whole part. Everything
 * else is itself. There is no substring match, and no way to write one.
 */

export interface Pattern {
  readonly text: string;
  /** Something of it is fixed: it does not stand for everything. */
  readonly binds: boolean;
  matches(value: string): boolean;
}

const longestPattern = 512;
const longestValue = 2048;

/** Null for a text that is no pattern: empty, too long, or `**` (or more) beside characters of a part. */
export function parsePattern(text: string): Pattern | null {
  if (text === '' || text.length > longestPattern || /\p{Cc}/u.test(text)) return null;
  if (/\*{3}/.test(text) || /[^:/]\*\*|\*\*[^:/]/.test(text)) return null;
  const parts = text.match(/\*\*|[^]/gu) ?? [];
  return {
    text,
    binds: /[^*:/]/.test(text),
    matches: (value) => value.length <= longestValue && matches(parts, [...value]),
  };
}

/** By the set of places that can be reached: no pattern makes it slow. */
function matches(parts: readonly string[], value: readonly string[]): boolean {
  let reached = new Set([0]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const at of reached) {
      if (part === '*' || part === '**') {
        for (let to = at; !next.has(to) && to <= value.length; to++) {
          next.add(to);
          if (part === '*' && /[:/]/.test(value[to] ?? '')) break;
        }
      } else if (value[at] === part) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(value.length);
}
