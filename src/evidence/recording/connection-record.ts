/** How a connection's beginning is recorded. */
import type { ConnectionInfo } from '../../gate/recorder.ts';
import type { Batch } from './encode.ts';
import * as words from './words.ts';

export function appendConnection(batch: Batch, t: number, connection: number, info: ConnectionInfo): void {
  batch.array(4);
  batch.uint(t);
  batch.encoded(words.connection);
  batch.uint(connection);
  batch.map(2);
  batch.encoded(words.parameters);
  const parameters = Object.entries(info.parameters);
  batch.map(parameters.length);
  for (const [name, value] of parameters) {
    batch.text(name);
    batch.text(value);
  }
  batch.encoded(words.serverVersion);
  batch.textOrNull(info.serverVersion);
}
