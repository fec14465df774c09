/** Reaches a target once, as a client would be served, and says what it is; used when a session opens. */
import { PostgresError } from './error.ts';
import { encodeMessage } from './messages/frame.ts';
import type { Dial, TargetOptions, TargetTransport } from './target.ts';
import { openTarget, startTarget } from './target-startup.ts';

export interface ProbePostgresOptions {
  readonly target: TargetOptions;
  /** The caller keeps the deadline, and destroys the transport when it passes. */
  readonly dial: Dial;
}

/**
 * Connects, authenticates, reads the version, and leaves.
 * @throws PostgresError, BytesError; texts are safe to show
 */
export async function probePostgres(options: ProbePostgresOptions): Promise<{ serverVersion: string }> {
  let transport: TargetTransport | null = null;
  try {
    const open = await openTarget(options.dial, options.target.tls, (made) => (transport = made));
    const { serverVersion } = await startTarget(open, options.target, options.target.database, [
      ['application_name', 'hoop'],
    ]);
    if (serverVersion === null) {
      throw new PostgresError('postgres-unexpected-message', 'the target did not say its version');
    }
    open.reader.channel.write(encodeMessage('X'));
    open.reader.channel.end();
    await open.reader.finished();
    return { serverVersion };
  } finally {
    destroy(transport);
  }
}

const destroy = (transport: TargetTransport | null): void => transport?.channel.destroy();
