/** `hoop relay rotate-log-key`: by the relay that runs, or, where none does, on its log directly. */
import path from 'node:path';
import { Log } from '../evidence/log/log.ts';
import { systemClock } from '../system/clock.ts';
import type { RelayConfig } from './config/config.ts';
import { askRotation, ControlError, type RotationAnswer } from './control.ts';
import { openLogKeys, type LogKeys } from './log-keys.ts';

/**
 * Hands an open log over to its next key.
 * @throws EvidenceError, KeysError, SignerError
 */
export async function handOver(log: Log, keys: LogKeys): Promise<RotationAnswer> {
  const from = log.signer.verifier.toString();
  const { index } = await log.rotate(await keys.successor());
  const configurationBehind = await keys.settle(log);
  return { entry: index, from, to: log.signer.verifier.toString(), configurationBehind };
}

/** @throws ControlError `log-key-not-rotated`, EvidenceError (`log-locked` when a relay runs that cannot be asked), KeysError */
export async function rotateLogKey(config: RelayConfig): Promise<RotationAnswer> {
  try {
    return await askRotation(config.dataDir);
  } catch (error) {
    if (!(error instanceof ControlError) || error.code !== 'relay-not-running') throw error;
  }
  const keys = await openLogKeys(config);
  try {
    const log = await Log.open({
      directory: path.join(config.evidence.directory, 'log'),
      signer: keys.signer,
      successors: keys.successors,
      clock: systemClock,
    });
    try {
      await keys.settle(log);
      return await handOver(log, keys);
    } finally {
      await log.close();
    }
  } finally {
    await keys.close();
  }
}
