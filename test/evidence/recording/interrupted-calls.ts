/**
 * Calls `between` before, in the middle of (a write) and after every system call of this process that recording, sealing
 * and recovery make their durable steps with: a crash there leaves exactly what is on disk at that moment.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

export interface InterruptedCalls extends Disposable {
  /** For steps that are no system call, the log's append. */
  step<T>(call: () => Promise<T>): Promise<T>;
}

export function interruptCalls(between: () => void): InterruptedCalls {
  const { writeSync, openSync } = fs;
  const { rename, rm, open } = fsp;
  const step = async <T>(call: () => Promise<T>): Promise<T> => {
    between();
    const result = await call();
    between();
    return result;
  };
  const replaced = {
    openSync: ((file: string, flags: string, mode: number) => {
      if (flags !== 'ax') return openSync(file, flags, mode);
      between();
      const fd = openSync(file, flags, mode);
      between();
      return fd;
    }) as typeof openSync,
    writeSync: ((fd: number, bytes: Buffer | string, offset: number, length: number, position: number) => {
      if (typeof bytes === 'string') return writeSync(fd, bytes);
      between();
      const half = writeSync(fd, bytes, offset, length >> 1, position);
      between();
      const rest = writeSync(fd, bytes, offset + half, length - half, position + half);
      between();
      return half + rest;
    }) as typeof writeSync,
  };
  Object.assign(fs, replaced);
  Object.assign(fsp, {
    rename: (from: string, to: string) => step(() => rename(from, to)),
    rm: (file: string, options: object) => step(() => rm(file, options)),
    open: (file: string, flags: string, mode: number) =>
      file.endsWith('.tmp') ? step(() => open(file, flags, mode)) : open(file, flags, mode),
  });
  syncBuiltinESMExports();
  return {
    step,
    [Symbol.dispose]() {
      Object.assign(fs, { writeSync, openSync });
      Object.assign(fsp, { rename, rm, open });
      syncBuiltinESMExports();
    },
  };
}
