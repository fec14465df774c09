/** The streams of this process, as views write to them. */
import { visible } from '../colour.ts';
import type { Surface } from './terminal/views.ts';

export function processSurface(): Surface {
  const { stdout, stderr } = process;
  return {
    output: (bytes) => written(stdout, bytes),
    errorOutput: (bytes) => written(stderr, bytes),
    size: () => (stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : null),
    note: (line) => void stderr.write(`${visible(line)}\n`),
  };
}

async function written(stream: NodeJS.WriteStream, bytes: Buffer | string): Promise<void> {
  if (bytes.length === 0 || stream.write(bytes)) return;
  await new Promise((resolve) => stream.once('drain', resolve));
}
