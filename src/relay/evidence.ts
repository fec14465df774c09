/**
 * The relay's evidence directory: its log, what seals recordings into it, and what the run before left behind. Nothing is
 * served before recovery has finished.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { relayActor } from '../evidence/entry.ts';
import { Log } from '../evidence/log/log.ts';
import { unfinishedSessions } from '../evidence/log/read.ts';
import { recover, recoveryEntries } from '../evidence/recording/recover.ts';
import { Sealer } from '../evidence/recording/sealer.ts';
import { isOutOfSpace, Reserve } from '../evidence/space/reserve.ts';
import { isSessionId, type SessionId } from '../model/ids.ts';
import type { Clock } from '../system/clock.ts';
import { durableFiles } from '../system/durable-file.ts';
import type { RelayConfig } from './config/config.ts';
import type { LogKeys } from './log-keys.ts';
import type { RelayLogger } from './logging.ts';
import type { RelayMetrics } from './metrics.ts';
import { Room } from './space/room.ts';

export interface RelayEvidence {
  readonly log: Log;
  /** `log.append`, measured; refused while there is no room for an entry of this kind. */
  readonly append: Log['append'];
  readonly room: Room;
  readonly sealer: Sealer;
  /** Sessions that the run before left open, closed now. */
  readonly interrupted: readonly SessionId[];
}

export interface EvidenceOptions {
  readonly config: RelayConfig;
  readonly logKeys: LogKeys;
  /** A checkpoint was published. */
  readonly onPublished: () => void;
  readonly clock: Clock;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
  readonly version: string;
  /** Of the configuration and the policies in force, for `relay.started`. */
  readonly configDigest: string;
}

/** @throws EvidenceError `log-locked`, `log-damaged`, `log-write-failed`; Error of a system call */
export async function openEvidence(options: EvidenceOptions): Promise<RelayEvidence> {
  const { config, clock, logger } = options;
  const { directory, space } = config.evidence;
  await makeDurably(directory);
  const reserve = await Reserve.open(directory, space.reserveBytes);
  const room = new Room({ directory, ...space, reserve, clock, logger });
  for (;;) {
    try {
      return await open(options, room);
    } catch (error) {
      // Whoever comes to write has had the log's lock: it is this relay's reserve.
      if (!isOutOfSpace(error) || !room.giveBack()) throw error;
      logger.warn('no room to start: part of the reserve is given back', { bytes: room.reserveBytes });
    }
  }
}

/** A record whose directory a power cut takes away is none. */
async function makeDurably(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = path.dirname(made))
    await durableFiles.syncDirectory(path.dirname(made));
}

async function open(options: EvidenceOptions, room: Room): Promise<RelayEvidence> {
  const { config, logKeys, clock, logger, metrics } = options;
  const { directory, backlogBytes } = config.evidence;
  const log = await Log.open({
    directory: path.join(directory, 'log'),
    signer: logKeys.signer,
    successors: logKeys.successors,
    clock,
    onPublished: options.onPublished,
    onUnsigned: (error) => {
      metrics.failed(error.code);
      logger.error('checkpoint not signed', {}, error);
    },
    onFailure: (error) => {
      metrics.failed(error.code);
      logger.error('log write failed', {}, error);
      room.writeFailed(error);
    },
    onRepaired: () => logger.warn('log takes entries again'),
  });
  try {
    const append: Log['append'] = async (entry) => {
      room.admitEntry(entry.kind);
      const startedMs = clock.monotonicMs();
      const appended = await log.append(entry);
      metrics.logAppended((clock.monotonicMs() - startedMs) / 1000);
      return appended;
    };
    await room.look();
    if (await logKeys.settle(log)) logger.warn('log.nextKey is in force', { reason: 'make it log.key' });
    const unfinished = await unfinishedSessions(path.join(directory, 'log'));
    const recovery = await recover({ directory, unfinished, append });
    for (const entry of recoveryEntries(recovery, log.recovered.bytesCut)) await log.append(entry);
    if (recovery.sessions.length > 0)
      logger.warn('recovered', { count: recovery.sessions.length, segment: recovery.segments });
    await log.append({
      kind: 'relay.started',
      actor: relayActor,
      version: options.version,
      configDigest: options.configDigest,
    });
    const onError = (error: unknown, session: string): void => {
      logger.error('sealing failed', { session }, error);
      room.writeFailed(error);
    };
    const interrupted = recovery.sessions.map(({ session }) => session).filter(isSessionId);
    return { log, append, room, sealer: new Sealer({ append, onError, backlogBytes }), interrupted };
  } catch (error) {
    await log.close();
    throw error;
  }
}
