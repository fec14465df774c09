/**
 * What a record says to an auditor: a report with the controls that it bears on, and the tasks that it holds. Pure functions over
 * events (`evidence/read`) and what verification found: no files, no clock, no network.
 */
import type { Control } from './control-counts.ts';

export { ControlCounts } from './control-counts.ts';
export { controlsMarkdown } from './markdown.ts';
export { ReportBuilder, type AuditReport } from './report.ts';
export { ReviewHistory } from './reviews.ts';
export { isOfTask, stepOf, TaskHistory, tasksJson } from './tasks.ts';

/** `controls.json`, of what `controlsMarkdown` prints. */
export const controlsJson = (controls: readonly Control[]): string =>
  `${JSON.stringify({ v: 1, catalogue: 'NIST SP 800-53 Rev. 5', controls }, null, 1)}\n`;
