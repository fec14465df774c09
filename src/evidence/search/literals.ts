/**
 * Bytes that stand in every match of a pattern: a text without them needs no automaton. In a pattern that ignores case they are
 * lower case, and stand in the text made lower case (ASCII alone).
 */
import type { Node } from '../../bytes/pattern/syntax.ts';

export interface Literals {
  /** One of them stands in every match. */
  readonly any: readonly Buffer[];
  /** Look in the text made lower case. */
  readonly folded: boolean;
  /** Where one stands is a match, whole. */
  readonly exact: boolean;
}

const most = 8;

interface Letter {
  readonly byte: number;
  readonly folded: boolean;
}
type Run = readonly Letter[];

/** Null: nothing is known to stand in each. */
export function literalsOf(node: Node): Literals | null {
  const best = bestOf(node);
  if (best === null) return null;
  const letters = best.flat().filter(({ byte }) => isLetter(byte));
  const folded = letters.some((letter) => letter.folded);
  const whole = wholeOf(node);
  return {
    any: best.map((run) => Buffer.from(run.map(({ byte }) => (folded ? lower(byte) : byte)))),
    folded,
    exact: whole !== null && letters.every((letter) => letter.folded === folded),
  };
}

const isLetter = (byte: number): boolean => (byte | 0x20) >= 97 && (byte | 0x20) <= 122 && byte < 0x80;
const lower = (byte: number): number => (byte >= 65 && byte <= 90 ? byte | 0x20 : byte);

/** The one byte that a set means, perhaps in either case. */
function letterOf(set: ReadonlySet<number>): Letter | null {
  const [first, second] = set;
  if (set.size === 1) return { byte: first!, folded: false };
  if (set.size === 2 && isLetter(first!) && (first! ^ second!) === 0x20)
    return { byte: first! | 0x20, folded: true };
  return null;
}

/** The pattern when it is a text and nothing else. */
function wholeOf(node: Node): Run | null {
  if (node.kind === 'set') {
    const letter = letterOf(node.set);
    return letter === null ? null : [letter];
  }
  if (node.kind === 'choice') return asOne(node.parts);
  if (node.kind !== 'sequence') return null;
  const runs = node.parts.map(wholeOf);
  return runs.every((run) => run !== null) ? runs.flat() : null;
}

/** A letter told as a choice of its two cases. */
function asOne(parts: readonly Node[]): Run | null {
  const runs = parts.map(wholeOf);
  if (runs.some((run) => run?.length !== 1 || run[0]!.folded)) return null;
  return wholeOf({ kind: 'set', set: new Set(runs.map((run) => run![0]!.byte)) });
}

function bestOf(node: Node): readonly Run[] | null {
  const whole = wholeOf(node);
  if (whole !== null) return whole.length === 0 ? null : [whole];
  switch (node.kind) {
    case 'set':
      return null;
    case 'repeat':
      return node.least === 0 ? null : bestOf(node.part);
    case 'choice': {
      const each = node.parts.map(bestOf);
      if (each.some((runs) => runs === null)) return null;
      const all = each.flatMap((runs) => runs!);
      return all.length > most ? null : all;
    }
    case 'sequence':
      return bestIn(node.parts);
  }
}

/** Neighbours that mean one byte each stand together. */
function bestIn(parts: readonly Node[]): readonly Run[] | null {
  let best: readonly Run[] | null = null;
  let together: Letter[] = [];
  const take = (runs: readonly Run[] | null): void => {
    if (runs !== null && (best === null || worth(runs) > worth(best))) best = runs;
  };
  for (const part of parts) {
    const run = wholeOf(part);
    if (run !== null) {
      together.push(...run);
      continue;
    }
    if (together.length > 0) take([together]);
    together = [];
    take(bestOf(part));
  }
  if (together.length > 0) take([together]);
  return best;
}

/** Longer is better, fewer too. */
const worth = (runs: readonly Run[]): number =>
  Math.min(...runs.map((run) => run.length)) - (runs.length - 1) / most;
