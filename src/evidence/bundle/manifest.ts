/**
 * What a bundle says of itself: `bundle.json`, what was asked for; `scope.json`, whose recordings it holds; `manifest.json`, the
 * SHA-256 of every other file; `manifest.sig`, by which the relay's log key ties the manifest to the entry of the export:
 * who took this bundle, and when. It says nothing about what is in the files: that is what the log proves.
 */
import { z } from 'zod';

export const bundleInfoName = 'bundle.json';
/** Absent when the recordings of all sessions are there. */
export const scopeName = 'scope.json';
export const manifestName = 'manifest.json';
export const manifestNoteName = 'manifest.sig';

const text = z.string().max(1024);

export const BundleInfo = z.object({
  v: z.literal(1),
  /** As it was typed: an interrupted export goes on only with the same. */
  asked: z.record(z.string().max(32), text),
  /** What that meant then; events in the bundle are those. */
  filter: z.object({
    from: text.optional(),
    to: text.optional(),
    person: text.optional(),
    target: text.optional(),
    task: text.optional(),
    session: text.optional(),
    outcome: text.optional(),
  }),
  /** The relay's address; null: a directory. */
  relay: text.nullable(),
  begun: z.iso.datetime({ precision: 3 }),
});
export type BundleInfo = z.infer<typeof BundleInfo>;

export const Scope = z.object({ sessions: z.array(z.string()) });

export const Manifest = z.object({
  v: z.literal(1),
  files: z.array(
    z.object({
      name: z.string(),
      bytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});
export type Manifest = z.infer<typeof Manifest>;

/** A manifest of a million files is shorter. */
export const manifestBytes = 256 * 1024 * 1024;
export const scopeBytes = 256 * 1024 * 1024;
export const bundleInfoBytes = 64 * 1024;

export interface ManifestStatement {
  /** SHA-256 of `manifest.json`, hexadecimal. */
  readonly sha256: string;
  /** Place in the log of the `evidence.read` entry that says who took the bundle. */
  readonly entry: number;
}

/**
 * The text that the log's key signs. Its first line is no log's origin, so that it can never pass for a checkpoint.
 * @param origin of the log
 */
export const formatStatement = (origin: string, { sha256, entry }: ManifestStatement): string =>
  `${origin}/export\nmanifest sha256 ${sha256}\nentry ${entry}\n`;

/** Null when it is no such text. */
export function parseStatement(origin: string, said: string): ManifestStatement | null {
  const match = /^manifest sha256 ([0-9a-f]{64})\nentry (0|[1-9]\d{0,14})\n$/.exec(
    said.startsWith(`${origin}/export\n`) ? said.slice(origin.length + '/export\n'.length) : '',
  );
  return match === null ? null : { sha256: match[1]!, entry: Number(match[2]) };
}
