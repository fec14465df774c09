/**
 * What a bundle holds besides the record itself. A part is written from the record in the bundle and from its events, in
 * order of time; append to `parts` to add one.
 */
import { format, type ExportFormat } from '../export/formats.ts';
import type { Location } from '../location.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { BundleInfo } from './manifest.ts';
import { controlsJson, controlsMarkdown, controlsOf, tasksJson } from '../report/index.ts';
import { readme } from './readme.ts';

export interface BundleContext {
  readonly info: BundleInfo;
  /** Sessions whose recordings are in the bundle; null: all. */
  readonly sessions: ReadonlySet<string> | null;
  /** The events that were asked for, as often as they are asked for. */
  readonly events: () => AsyncIterable<EvidenceEvent>;
  /** The bundle as far as it is written: log, recordings, sign-ins. */
  readonly evidence: Location;
}

export interface BundlePart {
  readonly name: string;
  /** Text, piece by piece. */
  write(context: BundleContext): AsyncIterable<string> | Iterable<string>;
}

const events = (name: string, form: ExportFormat): BundlePart => ({
  name,
  write: (context) => format(context.events(), form),
});

export const parts: readonly BundlePart[] = [
  events('events.csv', 'csv'),
  events('events.ocsf.jsonl', 'ocsf'),
  {
    name: 'controls.json',
    write: async function* (context) {
      yield controlsJson(await controlsOf(context.events(), null));
    },
  },
  {
    name: 'controls.md',
    write: async function* (context) {
      yield* controlsMarkdown(await controlsOf(context.events(), null));
    },
  },
  { name: 'tasks.json', write: (context) => tasksJson(context.events) },
  { name: 'README.md', write: ({ info, sessions }) => readme(info, sessions) },
];
