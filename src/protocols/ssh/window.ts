/** The size of a terminal, as client and target are told it. */
import type { Window } from './program.ts';

/**
 * Zero says nothing (RFC 4254, 6.2). On a screen of a few columns no line could be read, and so none decided: the target is told
 * of no smaller one than this, whatever the client says.
 */
export const readableWindow = ({ columns, rows }: Window): Window => ({
  columns: columns === 0 ? 80 : Math.min(Math.max(20, columns), 10_000),
  rows: rows === 0 ? 24 : Math.min(Math.max(4, rows), 10_000),
});
