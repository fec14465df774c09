/** Words that are shown as keywords: those of PostgreSQL that a reviewer looks for, not the whole grammar. */
const keywords: ReadonlySet<string> = new Set(
  `add all alter analyze and any as asc begin between by call cascade case cast check cluster column comment commit
   concurrently conflict constraint copy create cross current cursor database deallocate declare default delete desc discard
   distinct do drop else end except execute exists explain extension fetch filter for force foreign from full function grant
   group having if ilike in index inherit inner insert instead intersect into is isolation join key language lateral left
   like limit listen load local lock materialized merge move natural no not nothing notify null nulls of off offset on only
   or order outer over owner partition policy prepare primary privileges procedure program public reassign recursive
   references refresh reindex release rename replace replication reset restrict returning revoke right role rollback row
   rows rule savepoint schema security select sequence server session set setof show similar start stdin stdout subscription
   superuser system table tablesample temp temporary then to transaction trigger truncate type union unique unlisten unlogged
   update user using vacuum values verbose view when where window with without work`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

export const isKeyword = (word: string): boolean => keywords.has(word.toLowerCase());
