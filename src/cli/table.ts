/** Rows for people on a terminal (aligned, cut to its width), tab-separated for programs when piped. */
import Table from 'cli-table3';
import { colour, visible } from './colour.ts';

/** Where the table goes; the width is null when it is no terminal. */
export interface TableSurface {
  readonly width: number | null;
}

const noBorders = Object.fromEntries(
  'top,top-mid,top-left,top-right,bottom,bottom-mid,bottom-left,bottom-right,left,left-mid,mid,mid-mid,right,right-mid,middle'
    .split(',')
    .map((place) => [place, place === 'middle' ? '  ' : '']),
);
const narrowest = 8;

/**
 * @param heads column names, lower case
 * @param rows cells as text; null prints as nothing; control characters are made visible
 */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly (string | null)[])[],
  surface: TableSurface,
): string {
  const cells = rows.map((row) => row.map((cell) => visible(cell ?? '')));
  if (surface.width === null) return [heads, ...cells].map((row) => `${row.join('\t')}\n`).join('');
  const widths = fit(heads, cells, surface.width);
  const table = new Table({
    head: heads.map((head) => colour.bold(head)),
    chars: noBorders,
    colWidths: widths,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  table.push(...cells);
  const lines = table.toString().split('\n');
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Natural widths, the widest column giving way first until the row fits. */
function fit(heads: readonly string[], cells: readonly string[][], available: number): number[] {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const room = Math.max(available - 2 * (heads.length - 1), narrowest * heads.length);
  for (let over = widths.reduce((sum, width) => sum + width, 0) - room; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= narrowest) break;
    widths[widest]!--;
  }
  return widths;
}
