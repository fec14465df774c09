/**
 * A report as one HTML file: no script, nothing from elsewhere, and a policy in it (CSP) that forbids both. It opens from a disk
 * without a network, and what people typed is text in it.
 */
import { createHash } from 'node:crypto';
import type { AuditReport } from '../../../evidence/report/index.ts';
import type { Control, RecordReference } from '../../../evidence/report/control-counts.ts';
import type { Named } from '../../../evidence/report/person.ts';
import type { ReviewSummary } from '../../../evidence/report/reviews.ts';
import {
  countsOf,
  decidedIn,
  filterOf,
  killerOf,
  nameOrRelay,
  referenceOf,
  spanOf,
} from '../access-report.ts';
import { html, Markup } from './markup.ts';
import { plot } from './plot.ts';
import { style } from './style.ts';

const contentPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'`;

/** The hash in the policy is over exactly what stands between its tags. */
const sheet = new Markup(`<style>${style}</style>`);

/** Rows of one table; the report as JSON has them all. */
const mostRows = 500;

/** @param made says by which program and when, for the foot of the page */
export function reportPage(report: AuditReport, made: string): string {
  const filter = filterOf(report);
  const title = `Access report${report.verification?.checkpoint ? `: ${report.verification.checkpoint.origin}` : ''}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${contentPolicy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${sheet}
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            <p class="quiet">
              ${report.from === null ? 'No events' : `${report.from} to ${report.to}`}${filter === null ? null : ` · only ${filter}`}
            </p>
          </header>
          ${verdict(report)} ${tiles(report)}
          <h2 id="time">Over time</h2>
          ${plot(report.timeline)} ${sections(report)}
          <h2 id="controls">Controls</h2>
          <p>
            Controls of NIST SP 800-53 Rev. 5, the records that bear on each, and what they do not show.
            Records are evidence for an assessment, not the assessment.
          </p>
          ${report.controls.map(controlSection)}
          <footer><p>${made}</p></footer>
        </main>
      </body>
    </html> `.toString();
}

function verdict({ verification }: AuditReport): Markup {
  if (verification === null)
    return html`<section class="verdict warn" aria-label="verification">
      <strong>? Not verified</strong>
      <p>Everything here is the record’s own word. Prove it: <code>hoop audit verify</code></p>
    </section>`;
  const { verified, failures, warnings, counts, checkpoint } = verification;
  const said = verified
    ? html`<strong>✓ Verified: nothing was changed, removed or reordered</strong>`
    : html`<strong>✗ NOT verified: ${failures} ${failures === 1 ? 'failure' : 'failures'}</strong>`;
  return html`<section class="verdict ${verified ? 'good' : 'bad'}" aria-label="verification">
    ${said}
    <p>
      The whole log, whatever is shown below: ${counts.entries} entries, ${counts.sessions} sessions
      (${counts.unfinishedSessions} unfinished), ${counts.segments} recorded segments, ${counts.signatures}
      signatures of people${warnings === 0 ? null : `, ${warnings} warnings`}.
    </p>
    ${checkpoint === null ? null : html`<p><small>${checkpoint.origin}, size ${checkpoint.size}, root ${checkpoint.root}</small></p>`}
  </section>`;
}

function tiles({ totals, people }: AuditReport): Markup {
  const { events, commands, reviews, redactions } = totals;
  return html`<dl class="tiles">
    ${tile('people', people.length)}${tile('sessions opened', events['session.opened'] ?? 0)}${tile('commands', sum(commands))}${tile('commands denied', events['command.blocked'] ?? 0)}${tile('reviews', sum(reviews))}${tile('masked values', redactions)}${tile('reads of the record', events['evidence.read'] ?? 0)}
  </dl>`;
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const tile = (name: string, value: number): Markup =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value.toLocaleString('en')}</dd>
  </div>`;

function sections(report: AuditReport): Markup[] {
  const { people, targets, denials, reviews, kills, gaps, totals, verification } = report;
  const findings = verification?.findings ?? [];
  const left = verification === null ? 0 : verification.failures + verification.warnings - findings.length;
  return [
    section(
      'Gaps and findings',
      table(
        'What is missing, and what verification found',
        ['time or severity', 'what', 'about', 'where'],
        [
          ...gaps.listed.map((gap) => [
            time(gap.time),
            gap.kind === 'gap'
              ? html`<span class="bad">✗ gap</span>`
              : html`<span class="bad">✗ unreadable</span>`,
            gap.entries === null ? gap.reason : `${gap.reason}: ${gap.entries} entries could not be written`,
            code(gap.session),
          ]),
          ...findings.map(({ severity, code: name, message, session, file, index }) => [
            severity === 'failure'
              ? html`<span class="bad">✗ failure</span>`
              : html`<span class="warn">! warning</span>`,
            code(name),
            message,
            code(
              [index === null ? null : `entry ${index}`, session, file]
                .filter((part) => part !== null)
                .join(' '),
            ),
          ]),
        ],
        gaps.more + left,
      ),
    ),
    section(
      'People',
      table(
        'Principals, most commands first; an agent stands with the person for whom it acts',
        [
          'who',
          'sign-ins#',
          'sessions#',
          'commands#',
          'failed#',
          'denied#',
          'asked#',
          'decided#',
          'killed#',
          'reads#',
          'targets',
          'last',
        ],
        people.map((row) => [
          person(row.who),
          row.signIns,
          row.sessions,
          row.commands,
          row.failed,
          row.denied,
          row.reviewsAsked,
          row.reviewsDecided,
          row.kills,
          row.reads,
          html`${row.targets.map((target) => html`<span class="word">${target}</span> `)}`,
          time(row.lastAt),
        ]),
      ),
    ),
    section(
      'Targets',
      table(
        `Sessions ended: ${countsOf(totals.endings) ?? 'none'}. Commands: ${countsOf(totals.commands) ?? 'none'}.`,
        [
          'target',
          'people#',
          'sessions#',
          'commands#',
          'failed#',
          'denied#',
          'held#',
          'killed#',
          'masked#',
          'last',
        ],
        targets.map((row) => [
          row.target,
          row.people,
          row.sessions,
          row.commands,
          row.failed,
          row.denied,
          row.held,
          row.kills,
          row.redactions,
          time(row.lastAt),
        ]),
      ),
    ),
    section(
      'Denials',
      table(
        'Commands that policy stopped, by person, target and policies; most frequent first, with the last one',
        ['denied#', 'who', 'target', 'policies', 'last', 'text'],
        denials.map((row) => [
          row.count,
          person(row.by),
          row.target,
          row.policies.join(', ') || 'none permits it',
          time(row.lastAt),
          code(row.text),
        ]),
      ),
    ),
    section(
      'Reviews',
      table(
        `${countsOf(totals.reviews) ?? 'None'}${decidedIn(reviews) === null ? '' : `; decided ${decidedIn(reviews)}`}`,
        ['asked', 'by', 'target', 'text', 'outcome', 'after', 'decisions'],
        reviews.listed.map(reviewRow),
        reviews.more,
      ),
    ),
    section(
      'Killed sessions',
      table(
        'Sessions that somebody ended',
        ['time', 'session', 'target', 'by', 'reason'],
        kills.listed.map((row) => [
          time(row.time),
          code(row.session),
          row.target,
          row.by === null ? killerOf(row) : person(row.by),
          row.reason,
        ]),
        kills.more,
      ),
    ),
  ];
}

type Cell = Markup | string | number | null;

const section = (title: string, content: Markup): Markup =>
  html`<h2>${title}</h2>
    ${content} `;

/** @param heads `#` at the end: numbers */
function table(
  caption: string,
  heads: readonly string[],
  rows: readonly (readonly Cell[])[],
  more = 0,
): Markup {
  if (rows.length === 0 && more === 0) return html`<p class="quiet">None.</p>`;
  const numeric = heads.map((head) => head.endsWith('#'));
  const head = heads.map(
    (name, at) =>
      html`<th scope="col" ${numeric[at] ? html` class="number"` : null}>${name.replace('#', '')}</th>`,
  );
  const body = rows.slice(0, mostRows).map(
    (row) =>
      html`<tr>
        ${row.map((cell, at) => (numeric[at] ? html`<td class="number">${cell}</td>` : html`<td>${cell}</td>`))}
      </tr> `,
  );
  const left = Math.max(0, rows.length - mostRows) + more;
  return html`<div class="scroll">
      <table>
        <caption>
          ${caption}
        </caption>
        <thead>
          <tr>
            ${head}
          </tr>
        </thead>
        <tbody>
          ${body}
        </tbody>
      </table>
    </div>
    ${left === 0 ? null : html`<p class="quiet">… and ${left} more: <code>hoop audit report --json</code> has them.</p>`}`;
}

const time = (moment: string | null): Markup =>
  html`<span class="time">${moment === null ? '' : moment.slice(0, 19).replace('T', ' ')}</span>`;
const code = (text: string | null): Markup | null =>
  text === null || text === '' ? null : html`<code>${text}</code>`;

/** Name first, then what proves nothing by a look alone: who vouches for it. */
function person(who: Named | null): Markup {
  if (who === null) return html`the relay`;
  const { kind, issuer, subject, actsFor } = who;
  const details = [kind === 'person' ? null : kind, `${subject} of ${issuer}`].filter(
    (part) => part !== null,
  );
  return html`${nameOrRelay(who)}<small>${details.join(' ')}</small>${actsFor === null ? null : html`<small>for ${actsFor.subject} of ${actsFor.issuer}</small>`}`;
}

function reviewRow(review: ReviewSummary): Cell[] {
  const decisions = review.decisions.map(
    ({ by, decision, time: at, reason }) =>
      html`<div>
        ${decision === 'approve' ? '✓' : '✗'} ${nameOrRelay(by)}, ${decision}<small
          >${at}${reason === null ? '' : `: ${reason}`}</small
        >
      </div>`,
  );
  const { outcome } = review;
  const marks: Readonly<Record<ReviewSummary['outcome'], string>> = {
    approved: 'good',
    rejected: 'bad',
    expired: 'warn',
    withdrawn: 'warn',
    pending: 'warn',
  };
  return [
    time(review.requestedAt),
    person(review.by),
    review.target,
    code(review.text),
    html`<span class="${marks[outcome]}">${outcome}</span>`,
    spanOf(review.seconds),
    html`${decisions}`,
  ];
}

function controlSection({ id, title, asks, records, proofs, notShown }: Control): Markup {
  const total = records.reduce((sum, { count }) => sum + count, 0);
  const failed = proofs.some(({ holds }) => holds === false);
  const rows = records.map(({ shows, kinds, count, samples }) => [
    shows,
    html`${kinds.map((kind) => html`<code class="word">${kind}</code> `)}`,
    count,
    html`${samples.map((sample) => html`<small>${reference(sample)}</small>`)}`,
  ]);
  return html`<details>
    <summary>
      <strong>${id}</strong> ${title}
      <span class="quiet"
        >·
        ${total === 0 ? 'no records' : `${records.filter(({ count }) => count > 0).length} of ${records.length} classes of records`}</span
      >${failed ? html` <span class="bad">✗ not proven</span>` : null}
    </summary>
    <div>
      <p>${asks}</p>
      ${table('What shows it', ['shows', 'kinds', 'records#', 'for example'], rows)}
      ${
        proofs.length === 0
          ? null
          : html`<h3>Proofs</h3>
              <ul>
                ${proofs.map(proofLine)}
              </ul>`
      }
      <h3>Not shown</h3>
      <ul>
        ${notShown.map((line) => html`<li>${line}</li>`)}
      </ul>
    </div>
  </details> `;
}

function proofLine({ says, holds }: Control['proofs'][number]): Markup {
  if (holds === null) return html`<li><span class="warn">? not checked:</span> ${says}</li>`;
  return holds
    ? html`<li><span class="good">✓ proven:</span> ${says}</li>`
    : html`<li><span class="bad">✗ not proven:</span> ${says}</li>`;
}

const reference = (record: RecordReference): string =>
  `${record.time} ${record.kind}, ${referenceOf(record)}${record.by === null ? '' : `, ${nameOrRelay(record.by)}`}`;
