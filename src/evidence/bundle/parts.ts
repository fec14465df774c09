/**
 * What a bundle holds besides the record itself, made from the record in it. Events are read once, in order of time, whatever is
 * made of them: each part's lines go aside, since one file of a ZIP follows the other.
 */
import { csvHead, csvLine, lineOf } from '../export/formats.ts';
import type { Location } from '../location.ts';
import type { EvidenceEvent } from '../read/event.ts';
import { readEntryEvents, readEventBatches } from '../read/events.ts';
import {
  ControlCounts,
  controlsJson,
  controlsMarkdown,
  isOfTask,
  ReviewHistory,
  stepOf,
  TaskHistory,
  tasksJson,
} from '../report/index.ts';
import type { BundleInfo } from './manifest.ts';
import { readme } from './readme.ts';
import { deflated } from './zip-format.ts';
import type { ZipWriter } from './zip-writer.ts';

export interface PartsOptions {
  readonly zip: ZipWriter;
  readonly info: BundleInfo;
  /** Sessions whose recordings are in the bundle; null: all. */
  readonly sessions: ReadonlySet<string> | null;
  /** The bundle as far as it is written: log, recordings, sign-ins. */
  readonly evidence: Location;
  /** Told as events go by, and when they have. */
  readonly progress: { advanced(events: number): void; phase(name: 'summaries', total: null): void };
}

/** Null: the event is none of its business. */
type Line = (event: EvidenceEvent) => string | null;

/** Parts with a line for each event. */
const eventLines = {
  'events.jsonl': { head: '', line: (event) => `${lineOf(event, 'jsonl')}\n` },
  'events.csv': { head: csvHead, line: csvLine },
  'events.ocsf.jsonl': { head: '', line: (event) => `${lineOf(event, 'ocsf')}\n` },
} satisfies Readonly<Record<string, { readonly head: string; readonly line: Line }>>;

/** Adds what is not in the ZIP yet. */
export async function writeParts(options: PartsOptions): Promise<void> {
  const { zip, info, sessions } = options;
  const names = [...Object.keys(eventLines), 'controls.json', 'controls.md', 'tasks.json'];
  if (names.some((name) => !zip.has(name))) await writeOfEvents(options);
  if (!zip.has('README.md')) await zip.addText('README.md', readme(info, sessions));
}

async function writeOfEvents(options: PartsOptions): Promise<void> {
  const { zip } = options;
  const controls = new ControlCounts();
  const tasks = new TaskHistory();
  const steps = { aside: zip.aside(), line: stepLines(await reviewsOf(options)) };
  const written = Object.entries(eventLines)
    .filter(([name]) => !zip.has(name))
    .map(([name, { head, line }]) => ({ name, head, line, aside: zip.aside() }));
  for (const { aside, head } of written) await aside.add([head]);
  for await (const events of readEventBatches(options.evidence, options.info.filter)) {
    for (const event of events) {
      controls.take(event);
      tasks.take(event);
    }
    for (const { aside, line } of [...written, steps]) await aside.add(linesOf(events, line));
    options.progress.advanced(events.length);
  }
  options.progress.phase('summaries', null);
  for (const { name, aside } of written) await zip.addAside(name, aside);
  const counted = controls.controls(null);
  if (!zip.has('controls.json')) await zip.addText('controls.json', [controlsJson(counted)]);
  if (!zip.has('controls.md')) await zip.addText('controls.md', controlsMarkdown(counted));
  if (!zip.has('tasks.json')) await zip.add('tasks.json', tasksJson(tasks, steps.aside.content()), deflated);
}

function linesOf(events: readonly EvidenceEvent[], line: Line): string[] {
  const lines: string[] = [];
  for (const event of events) {
    const text = line(event);
    if (text !== null) lines.push(text);
  }
  return lines;
}

/** As `tasksJson` takes them. */
function stepLines(reviews: ReviewHistory): Line {
  let before = '\n';
  return (event) => {
    const step = stepOf(event, reviews);
    if (step === null) return null;
    const text = before + JSON.stringify(step);
    before = ',\n';
    return text;
  };
}

/** All of them: a step comes with the review that followed it. */
async function reviewsOf({ evidence, info }: PartsOptions): Promise<ReviewHistory> {
  const reviews = new ReviewHistory();
  for await (const event of readEntryEvents(evidence, info.filter)) if (isOfTask(event)) reviews.take(event);
  return reviews;
}
