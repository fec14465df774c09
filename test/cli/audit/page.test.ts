import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { html } from '../../../src/cli/audit/page/markup.ts';
import { reportPage } from '../../../src/cli/audit/page/page.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { ReportBuilder, type AuditReport } from '../../../src/evidence/report/report.ts';
import { ana, history } from '../../evidence/report/events.ts';
import { findProgram, missing } from '../../support/programs.ts';

/** Each field that a person can fill has markup in it. */
const markup = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e';
const mallory = {
  ...ana,
  subject: markup,
  email: markup,
  actsFor: { issuer: markup, subject: markup, email: markup },
};
const hostile: readonly EvidenceEvent[] = history.map((each) => ({
  ...each,
  principal: each.principal && mallory,
  target: each.target && markup,
  text: each.text && markup,
  reason: each.reason && markup,
  session: each.session && markup,
  details: { ...each.details, policies: [markup] },
}));

function reportOf(
  events: readonly EvidenceEvent[],
  verification: AuditReport['verification'] = null,
): AuditReport {
  const builder = new ReportBuilder();
  for (const each of events) builder.take(each);
  return builder.report({ person: 'ana@example.com' }, verification);
}

const found = {
  verified: false,
  findings: [
    {
      code: 'segment-digest-mismatch',
      severity: 'failure',
      message: markup,
      index: 7,
      session: markup,
      segment: 0,
      file: markup,
    },
  ],
  failures: 3,
  warnings: 0,
  checkpoint: { origin: markup, size: 13, root: 'AAAA', note: '' },
  keys: [],
  witnessed: null,
  counts: {
    entries: 13,
    sessions: 3,
    unfinishedSessions: 1,
    segments: 2,
    erased: { segments: 0, originals: 0 },
    resealed: 0,
    signatures: 5,
  },
  attribution: null,
  originals: null,
  from: null,
  to: null,
} satisfies AuditReport['verification'];

test('what people typed is text: no element and no attribute comes of it', () => {
  const page = reportPage(reportOf(hostile, found), markup);
  assert.doesNotMatch(page, /<script|<img|<a |\son\w+="|javascript:|\u202e/);
  assert.ok(page.includes('&lt;img src=x onerror=alert(1)&gt;'));
  assert.equal(html`${'&<>"\''}${null}${[html`<br />`, 1]}`.toString(), '&amp;&lt;&gt;&quot;&#39;<br />1');
});

test('the page names nothing outside it, and forbids all but its own style', () => {
  const page = reportPage(reportOf(history), 'hoop');
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/
    .exec(page)![1]!
    .replaceAll('&#39;', "'");
  const style = /<style>([^]*?)<\/style>/.exec(page)![1]!;
  const hash = createHash('sha256').update(style).digest('base64');
  assert.equal(policy, `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`);
  assert.doesNotMatch(page, /\b(src|href|action|srcset|style)=|url\(|@import|<link|<iframe|<object/);
});

test('it tells who, for whom, what was denied, decided, killed and missing, and whether it was verified', () => {
  const page = reportPage(reportOf(history, found), 'hoop 1.2.3');
  for (const said of [
    'NOT verified: 3 failures',
    'robot for ana@example.com',
    'agent robot of https://id.example',
    'no-drops',
    'delete from t',
    'lea@example.com, approve',
    'agreed',
    'enough',
    'ENOSPC: 3 entries could not be written',
    'segment-digest-mismatch',
    'and 2 more',
    'only person ana@example.com',
    'hoop 1.2.3',
  ])
    assert.ok(page.includes(said), said);
  for (const name of [
    'sessions opened',
    'commands',
    'commands denied',
    'reviews asked for',
    'sessions killed',
  ])
    assert.match(page, new RegExp(`UTC, 1 second: \\d+ ${name}</title>`));
  assert.match(reportPage(reportOf(history), ''), /\? Not verified/);
  assert.match(reportPage(reportOf(history, { ...found, verified: true, failures: 0 }), ''), /✓ Verified/);
  assert.match(reportPage(reportOf([]), ''), /Nothing happened/);
});

test('elements are balanced, and every table and plot has a name', () => {
  const page = reportPage(reportOf(hostile, found), '');
  const open: string[] = [];
  const empty = new Set(['meta', 'line']);
  for (const [, end, name, self] of page
    .replace(/<style>[^]*<\/style>/, '')
    .matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
    if (end === '/') assert.equal(open.pop(), name);
    else if (self !== '/' && !empty.has(name!)) open.push(name!);
  }
  assert.deepEqual(open, []);
  assert.equal(page.match(/<table>/g)?.length, page.match(/<caption>/g)?.length);
  assert.match(page, /<svg[^>]*role="img"[^>]*aria-labelledby="plot-title plot-what"/);
});

test(
  'in a browser it opens without a network, even if markup got into it',
  { skip: missing('chromium') },
  async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const directory = mkdtempSync(path.join(tmpdir(), 'hoop-page-'));
    try {
      const { port } = server.address() as AddressInfo;
      const at = `http://127.0.0.1:${port}`;
      const slipped = `<img src="${at}/img"><link rel="stylesheet" href="${at}/css"><iframe src="${at}/frame"></iframe><script src="${at}/js"></script><script>document.title = 'taken'</script>`;
      const file = path.join(directory, 'report.html');
      writeFileSync(file, reportPage(reportOf(hostile, found), '').replace('</main>', `${slipped}</main>`));
      const browser = spawnSync(
        findProgram('chromium')!,
        [
          '--headless',
          '--no-sandbox',
          '--disable-gpu',
          `--user-data-dir=${directory}/profile`,
          '--dump-dom',
          `file://${file}`,
        ],
        { encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 26 },
      );
      assert.equal(browser.status, 0, browser.stderr);
      assert.match(browser.stdout, /<title>Access report/);
      assert.equal(browser.stdout.match(/<img/g)?.length, 1, 'only the one that was put there');
      assert.deepEqual(asked, []);
    } finally {
      server.close();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
