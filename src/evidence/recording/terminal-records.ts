/** What is recorded of terminals: their sizes, and that a command was typed into another. */
import type { CommandOrigin } from '../../gate/recorder.ts';
import type { Batch } from './encode.ts';
import * as words from './words.ts';

/** @param numbers connection, command, columns, rows */
export function appendResize(batch: Batch, t: number, numbers: readonly number[]): void {
  batch.array(6);
  batch.uint(t);
  batch.encoded(words.resize);
  for (const number of numbers) batch.uint(number);
}

/** @param numbers connection, command, the command that it was typed into */
export function appendOrigin(
  batch: Batch,
  t: number,
  numbers: readonly number[],
  how: CommandOrigin['how'],
): void {
  batch.array(6);
  batch.uint(t);
  batch.encoded(words.origin);
  for (const number of numbers) batch.uint(number);
  batch.encoded(words.origins[how]);
}
