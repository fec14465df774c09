/**
 * Where evidence lies: in a directory, or inside something that holds files (a bundle). What reads evidence takes a location,
 * so that nothing has to be unpacked to be read.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../errors.ts';

/** A path of the file system, or a place among stored files. */
export type Location = string | StoredAt;

/** Files by name, `/` between the parts. Who made them is not trusted: they are read as `readIfThere` reads. */
export interface StoredFiles {
  /** Null when there is none. Of one that is longer than `limitBytes`, these and one byte more. */
  read(name: string, limitBytes: number): Promise<Buffer | null>;
  /** Empty when there is no such directory. */
  list(directory: string): Promise<readonly Listed[]>;
  /** Of a file, in bytes; null when there is none. */
  size(name: string): Promise<number | null>;
}

/** What stands in a directory; neither file nor directory: something else. */
export interface Listed {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
}

export class StoredAt {
  readonly files: StoredFiles;
  readonly name: string;

  /** @param name empty: all of it */
  constructor(files: StoredFiles, name = '') {
    this.files = files;
    this.name = name;
  }
}

/** @param name below the location, `/` between the parts */
export function within(location: Location, name: string): Location {
  if (typeof location === 'string') return path.join(location, name);
  return new StoredAt(location.files, path.posix.join(location.name, name));
}

/** Empty when there is no such directory. */
export async function listIfThere(location: Location): Promise<readonly Listed[]> {
  if (typeof location !== 'string') return location.files.list(location.name);
  try {
    return await readdir(location, { withFileTypes: true });
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Of a file, in bytes; null when there is none. */
export async function sizeIfThere(location: Location): Promise<number | null> {
  if (typeof location !== 'string') return location.files.size(location.name);
  try {
    return (await stat(location)).size;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
