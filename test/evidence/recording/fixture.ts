/** A recorder over a temporary directory, with a log that is an array. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SessionRecorder, type RecorderOptions } from '../../../src/evidence/recording/recorder.ts';
import { Sealer, type SealerOptions } from '../../../src/evidence/recording/sealer.ts';
import { sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import type { NewEntry } from '../../../src/evidence/entry.ts';
import type { SessionId } from '../../../src/model/ids.ts';
import { systemClock } from '../../../src/system/clock.ts';

export const session = '01JD0000000000000000000001' as SessionId;
export const openedAtMs = Date.UTC(2026, 10, 21, 23, 30);

export interface Fixture extends AsyncDisposable {
  readonly directory: string;
  readonly recordingDirectory: string;
  readonly entries: NewEntry[];
  readonly failures: Error[];
  readonly sealer: Sealer;
  readonly recorder: SessionRecorder;
}

export function openFixture(
  recorderOptions: Partial<RecorderOptions> = {},
  sealerOptions: Partial<SealerOptions> = {},
): Fixture {
  const directory = recorderOptions.directory ?? mkdtempSync(path.join(tmpdir(), 'hoop-recording-'));
  const entries: NewEntry[] = [];
  const failures: Error[] = [];
  const append = async (entry: NewEntry): Promise<void> => void entries.push(entry);
  const sealer = new Sealer({ append, ...sealerOptions });
  const recorder = new SessionRecorder({
    session,
    protocol: 'postgres',
    openedAtMs,
    clock: systemClock,
    durability: 'process',
    sealer,
    onFailure: (error) => failures.push(error),
    ...recorderOptions,
    directory,
  });
  return {
    directory,
    recordingDirectory: sessionDirectory(directory, openedAtMs, session),
    entries,
    failures,
    sealer,
    recorder,
    async [Symbol.asyncDispose]() {
      await sealer.close();
      if (recorderOptions.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}
