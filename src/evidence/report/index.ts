/**
 * What a record says to an auditor: a report with the controls that it bears on, and the tasks that it holds. Pure functions over
 * events (`evidence/read`) and what verification found: no files, no clock, no network.
 */
import type { EvidenceEvent } from '../read/event.ts';
import type { Report } from '../verify/verify.ts';
import { ControlCounts, type Control } from './control-counts.ts';

export { controlsMarkdown } from './markdown.ts';
export { ReportBuilder, type AuditReport } from './report.ts';
export { tasksJson } from './tasks.ts';

/** @param verification null: nothing was verified, and the proofs say so */
export async function controlsOf(
  events: AsyncIterable<EvidenceEvent> | Iterable<EvidenceEvent>,
  verification: Report | null,
): Promise<Control[]> {
  const counts = new ControlCounts();
  for await (const event of events) counts.take(event);
  return counts.controls(verification);
}

/** `controls.json`, of what `controlsMarkdown` prints. */
export const controlsJson = (controls: readonly Control[]): string =>
  `${JSON.stringify({ v: 1, catalogue: 'NIST SP 800-53 Rev. 5', controls }, null, 1)}\n`;
