/** Controls as Markdown (https://commonmark.org), for `controls.md` of a bundle; what people typed is data in it. */
import type { Control, RecordReference } from './control-counts.ts';
import { labelOf } from './person.ts';

const intro = `# Controls and the records that bear on them

Controls of NIST SP 800-53 Rev. 5. The counts are of the events of this export; a reference names an entry by its place in the
log, a command by its session and number (\`hoop audit show SESSION\`). Records are evidence for an assessment, not the
assessment: read what is **not** shown, too.
`;

export function* controlsMarkdown(controls: readonly Control[]): Generator<string> {
  yield intro;
  for (const control of controls) {
    yield `\n## ${control.id} ${control.title}\n\n${control.asks}\n\n`;
    yield '| shown by | kinds | records | for example |\n|---|---|---:|---|\n';
    for (const { shows, kinds, count, samples } of control.records)
      yield `| ${shows} | ${kinds.map((kind) => `\`${kind}\``).join(', ')} | ${count} | ${samples.map(reference).join('<br>')} |\n`;
    if (control.proofs.length > 0) yield '\n';
    for (const { says, holds } of control.proofs) yield `- ${mark(holds)}: ${literal(says)}\n`;
    yield '\nNot shown:\n\n';
    for (const line of control.notShown) yield `- ${line}\n`;
  }
}

const mark = (holds: boolean | null): string =>
  holds === null ? 'not checked' : holds ? '**proven**' : '**NOT proven**';

function reference({ time, kind, logIndex, session, command, by }: RecordReference): string {
  const where = logIndex === null ? `command ${command ?? '?'} of \`${session}\`` : `entry ${logIndex}`;
  return `${time} ${literal(kind)}, ${where}${by === null ? '' : ` (${literal(labelOf(by))})`}`;
}

/** Text of others as itself: no markup, no line of its own, nothing invisible. */
const literal = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd')
    .replaceAll(/[\\`*_{}[\]<>()#!|~&@]|:(?=\/)/g, (mark) => `\\${mark}`);
