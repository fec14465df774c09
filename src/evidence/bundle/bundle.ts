/**
 * Writes a bundle: a ZIP that holds a record, and verifies without anything else. In this order, since each follows from what
 * stands before it: what was asked for → what witnesses said → the log's checkpoint → its tiles and entries → recordings → what proves sign-ins →
 * events and what is made from them → the manifest and its signature.
 *
 * The log is always whole. Rejected: the entry bundles that a filter needs alone; they are 256 entries wide, so that they hide
 * nothing, and without the others nobody can check that sessions, sign-ins and reviews are those of the log.
 *
 * Whatever is in an interrupted bundle already is not fetched again.
 */
import { createHash } from 'node:crypto';
import { EvidenceError } from '../error.ts';
import { StoredAt } from '../location.ts';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.ts';
import { parseNote } from '../log/note.ts';
import { parseTilePath, splitTile, TreeEdge } from '../log/tile.ts';
import type { Hash } from '../log/tlog.ts';
import { readEntries } from '../read/entries.ts';
import { tilesOf } from '../read/files.ts';
import { readSessions } from '../read/sessions.ts';
import { noteBytes } from '../regular-file.ts';
import { handoversOf, proofsOfActors, readTile, segmentsOf, witnessedOf } from './contents.ts';
import { fetchedInOrder, type BundleSource } from './fetched.ts';
import {
  BundleInfo,
  bundleInfoBytes,
  bundleInfoName,
  manifestName,
  manifestNoteName,
  scopeName,
  type ManifestStatement,
} from './manifest.ts';
import { writeParts } from './parts.ts';
import type { ZipWriter } from './zip-writer.ts';

export type BundlePhase = 'log' | 'recordings' | 'sign-ins' | 'events' | 'summaries';

/** Told as it goes on. */
export interface BundleProgress {
  /** @param total of what is counted: bytes of recordings, else things; null: not known */
  phase(name: BundlePhase, total: number | null): void;
  advanced(count: number): void;
}

export interface BundleOptions {
  readonly source: BundleSource;
  readonly zip: ZipWriter;
  readonly info: BundleInfo;
  /** The relay's signed note about the manifest; null: nobody signs it. */
  readonly sign: ((manifestSha256: ManifestStatement['sha256']) => Promise<string>) | null;
  readonly progress: BundleProgress;
}

export interface WrittenBundle {
  readonly entries: number;
  readonly segments: number;
  /** Sessions whose recordings are in it; null: all. */
  readonly sessions: readonly string[] | null;
}

/**
 * @throws EvidenceError `bundle-interrupted` when what is there is of another export, `evidence-not-found`, `note-malformed`;
 * what `source` and `sign` throw
 */
export async function writeBundle(options: BundleOptions): Promise<WrittenBundle> {
  const { zip, source, progress } = options;
  const info = await begin(options);
  const evidence = new StoredAt(zip.files);
  const checkpoint = await storeLog(options);
  const sessions = await chooseSessions(zip, info);

  const { bytes, events } = await extentOf(evidence, sessions);
  progress.phase('recordings', bytes);
  const recordings = mapped(segmentsOf(evidence, sessions), (name) => [name]);
  await storeAll(options, recordings, (length) => progress.advanced(length));
  progress.phase('sign-ins', null);
  await storeAll(options, proofsOfActors(evidence, sessions), () => progress.advanced(1));

  progress.phase('events', events);
  await writeParts({ zip, info, sessions, evidence, progress });
  await storeManifest(options);
  const segments = [...zip.written].filter(({ name }) => name.endsWith('.cbor.zst')).length;
  return { entries: checkpoint.size, segments, sessions: sessions === null ? null : [...sessions] };

  async function storeLog({ zip }: BundleOptions): Promise<Checkpoint> {
    const resumed = zip.has('log/checkpoint');
    if (!resumed) {
      const witnessed = mapped(
        witnessedOf((name) => source.whole(name)),
        (name) => [name],
      );
      await storeAll(options, witnessed, () => undefined);
    }
    await storeAll(options, [['log/checkpoint']], () => undefined);
    const signed = await zip.files.read('log/checkpoint', noteBytes);
    if (signed === null) throw new EvidenceError('evidence-not-found', 'there is no log');
    const found = parseCheckpoint(parseNote(signed).text);
    if (resumed) await checkSource(source, found);
    const tiles = [...tilesOf(found.size)];
    progress.phase('log', tiles.length);
    const missing = tiles.filter((tile) => !zip.has(`log/${tile}`));
    progress.advanced(tiles.length - missing.length);
    await storeTiles(options, missing);
    await storeAll(
      options,
      mapped(handoversOf(evidence), (name) => [name]),
      () => undefined,
    );
    return found;
  }
}

/** The same export goes on; nothing else may. */
async function begin({ zip, info }: BundleOptions): Promise<BundleInfo> {
  if (!zip.has(bundleInfoName)) {
    if (zip.bytes > 0) throw otherExport();
    zip.addStored(bundleInfoName, json(info));
    return info;
  }
  const stored = await zip.files.read(bundleInfoName, bundleInfoBytes);
  const before = BundleInfo.safeParse(parsed(stored));
  if (!before.success || identityOf(before.data) !== identityOf(info)) throw otherExport();
  return before.data;
}

const identityOf = ({ asked, relay }: BundleInfo): string =>
  JSON.stringify([Object.entries(asked).toSorted(), relay]);

const otherExport = (): EvidenceError =>
  new EvidenceError('bundle-interrupted', 'what an interrupted export left there is of another export', {
    hint: 'finish that one with the same command, or remove the .partial file, or name another file',
  });

/** The right edge of the tree at the source must have the root that the bundle began with. */
async function checkSource(source: BundleSource, { size, root }: Checkpoint): Promise<void> {
  const levels: Hash[][] = [];
  for (const tile of tilesOf(size)) {
    const { level, width } = parseTilePath(tile)!;
    if (level === 'entries') continue;
    levels[level] ??= [];
    if (width === 256) continue;
    const bytes = await readTile((name) => source.whole(`log/${name}`), tile);
    if (bytes?.length !== width * 32) throw sourceChanged();
    levels[level] = splitTile(bytes, width);
  }
  if (!TreeEdge.restore(size, levels).root().equals(root)) throw sourceChanged();
}

const sourceChanged = (): EvidenceError =>
  new EvidenceError('bundle-interrupted', 'the log is not the one that the interrupted export began with', {
    hint: 'keep the .partial file: one of the two histories is false; name another file to export what is there now',
  });

async function storeTiles({ source, zip, progress }: BundleOptions, tiles: readonly string[]): Promise<void> {
  const read = (name: string) => source.whole(`log/${name}`);
  for await (const { name, whole } of fetchedInOrder(tiles, async (tile) => ({
    name: tile,
    whole: await readTile(read, tile),
  }))) {
    if (whole !== null) zip.addStored(`log/${name}`, whole);
    progress.advanced(1);
  }
}

/** Of each item's places the first that is there. What is missing stays missing, for `verify` to name. */
async function storeAll(
  { source, zip }: BundleOptions,
  places: Iterable<readonly string[]> | AsyncIterable<readonly string[]>,
  stored: (bytes: number) => void,
): Promise<void> {
  const first = async (names: readonly string[]) => {
    for (const name of names) {
      if (zip.has(name)) return { name, content: null };
      const content = await source.open(name);
      if (content !== null) return { name, content };
    }
    return null;
  };
  for await (const found of fetchedInOrder(places, first)) {
    if (found === null) continue;
    const { name, content } = found;
    if (content instanceof Uint8Array) zip.addStored(name, content);
    else if (content !== null) await zip.add(name, content, 0);
    stored(zip.files.entry(name)!.bytes);
  }
}

async function chooseSessions(zip: ZipWriter, { filter }: BundleInfo): Promise<ReadonlySet<string> | null> {
  if (Object.keys(filter).length === 0) return null;
  const { outcome: _ofCommands, ...ofSessions } = filter;
  const found = await readSessions(new StoredAt(zip.files), ofSessions);
  const sessions = found.map(({ session }) => session);
  if (!zip.has(scopeName)) zip.addStored(scopeName, json({ sessions }));
  return new Set(sessions);
}

/** How much there is to do: bytes of recordings, and about how many events. */
async function extentOf(
  evidence: StoredAt,
  sessions: ReadonlySet<string> | null,
): Promise<{ bytes: number; events: number }> {
  let [bytes, events] = [0, 0];
  for await (const { entry } of readEntries(evidence)) {
    if (entry.kind !== 'segment') events++;
    else if (sessions?.has(entry.session) !== false) {
      bytes += entry.bytes;
      events += entry.commands;
    }
  }
  return { bytes, events };
}

async function storeManifest({ zip, sign }: BundleOptions): Promise<void> {
  if (!zip.has(manifestName)) await zip.addText(manifestName, manifestText(zip));
  if (sign === null || zip.has(manifestNoteName)) return;
  const digest = createHash('sha256');
  for await (const piece of zip.files.content(manifestName)) digest.update(piece);
  zip.addStored(manifestNoteName, Buffer.from(await sign(digest.digest('hex'))));
}

function* manifestText(zip: ZipWriter): Generator<string> {
  let before = '{"v":1,"files":[\n';
  for (const file of zip.written) {
    yield `${before}${JSON.stringify(file)}`;
    before = ',\n';
  }
  yield '\n]}\n';
}

const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);

function parsed(bytes: Buffer | null): unknown {
  try {
    return JSON.parse(String(bytes));
  } catch {
    return null;
  }
}

async function* mapped<T, U>(items: AsyncIterable<T>, change: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield change(item);
}
