/** The witnesses of a relay's log: who is told of each checkpoint, how far they vouch, and who falls behind. */
import path from 'node:path';
import type { Log } from '../../evidence/log/log.ts';
import type { RelayConfig } from '../config/config.ts';
import type { RelayLogger } from '../logging.ts';
import type { WitnessMetrics } from '../metrics.ts';
import { WitnessError } from './error.ts';
import { WitnessLine } from './line.ts';

/** A witness that is behind for longer is told to the operator. */
const lateMs = 60_000;
const firstRetryMs = 1000;

export class Witnesses {
  readonly #lines: readonly WitnessLine[];
  readonly #quorum: number;

  constructor(lines: readonly WitnessLine[], quorum: number) {
    this.#lines = lines;
    this.#quorum = quorum;
  }

  /** There is a new checkpoint. Returns at once. */
  wake(): void {
    for (const line of this.#lines) line.wake();
  }

  views(): WitnessMetrics[] {
    return this.#lines.map(({ name, size, lagMs, failures }) => ({
      name,
      size,
      lagSeconds: lagMs / 1000,
      failures,
    }));
  }

  /** Entries that `log.witnessPolicy.quorum` witnesses vouch for. */
  witnessedSize(): number {
    const sizes = this.#lines.map(({ size }) => size).toSorted((a, b) => b - a);
    return sizes[this.#quorum - 1] ?? 0;
  }

  /** Gives up what is under way. */
  close(): void {
    for (const line of this.#lines) line.close();
  }
}

/** Null when none is configured. The newest checkpoint goes out at once: the run before may not have come to it. */
export function openWitnesses(
  { log: { witnesses, quorum }, evidence }: Pick<RelayConfig, 'log' | 'evidence'>,
  {
    log,
    logger,
    retryMs = firstRetryMs,
  }: { readonly log: Log; readonly logger: RelayLogger; readonly retryMs?: number },
): Witnesses | null {
  if (witnesses.length === 0) return null;
  const told = new Set<string>();
  const onFailure = (witness: string, error: unknown, lagMs: number): void => {
    const contradicts = error instanceof WitnessError && error.code === 'witness-contradicts';
    if (told.has(witness) || (lagMs < lateMs && !contradicts)) return;
    told.add(witness);
    const fields = { witness, ms: Math.round(lagMs) };
    if (contradicts) logger.error('witness contradicts', fields, error);
    else logger.warn('witness is late', fields, error);
  };
  const onRecovered = (witness: string): void => {
    if (told.delete(witness)) logger.info('witness is up to date', { witness });
  };
  const directory = path.join(evidence.directory, 'log');
  const options = { directory, log, onFailure, onRecovered, retryMs };
  const opened = new Witnesses(
    witnesses.map((witness) => new WitnessLine(witness, options)),
    quorum,
  );
  opened.wake();
  return opened;
}
