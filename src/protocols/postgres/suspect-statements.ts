/**
 * SQL that cannot be seen through (functions, DO, CALL) may drop a prepared statement and make another of its name. A
 * named statement that was there before such a command ran is therefore taken for what its text says and, beyond that,
 * for code: as hidden as what might have replaced it. The unnamed statement is out of SQL's reach.
 */
import type { CommandFacts } from '../../model/command-facts.ts';

/**
 * What may run SQL that its facts do not name: `code` by itself, `cursor` (FETCH, and what looks like it) when such SQL has
 * opened the cursor.
 */
export type HiddenSql = 'code' | 'cursor';

/** Null: it runs none. */
export function hiddenSqlOf({ effects }: CommandFacts): HiddenSql | null {
  let session = false;
  let reads = false;
  for (let i = 0; i < effects.length; i++) {
    const effect = effects[i];
    if (effect === 'code' || effect === 'unknown') return 'code';
    session ||= effect === 'session';
    reads ||= effect === 'read';
  }
  return session && reads ? 'cursor' : null;
}

const suspected = new WeakMap<CommandFacts, CommandFacts>();

/** The same object for the same facts. */
export function factsOfSuspect(facts: CommandFacts): CommandFacts {
  if (facts.effects.includes('code')) return facts;
  let suspect = suspected.get(facts);
  if (suspect === undefined) {
    suspect = Object.freeze({
      ...facts,
      effects: Object.freeze([...facts.effects, 'code' as const].toSorted()),
    });
    suspected.set(facts, suspect);
  }
  return suspect;
}
