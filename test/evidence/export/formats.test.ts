import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { format, type ExportFormat } from '../../../src/evidence/export/formats.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';

const event: EvidenceEvent = {
  time: '2026-11-21T23:30:00.000Z',
  kind: 'command',
  logIndex: null,
  principal: {
    kind: 'person',
    issuer: 'https://id.example',
    subject: 'ana',
    email: 'ana@example.com',
    groups: ['engineering', 'oncall'],
    actsFor: null,
  },
  session: '01JD0000000000000000000001',
  target: 'db-prod',
  task: null,
  reason: 'look, "closely"\r\nnow',
  connection: 1,
  command: 2,
  endedAt: '2026-11-21T23:30:00.004Z',
  durationMs: 4.25,
  text: '=HYPERLINK("http://evil.example")',
  textBytes: null,
  parameters: ['a', null],
  outcome: 'succeeded',
  tag: 'SELECT 1',
  rows: 1,
  errorCode: null,
  effects: null,
  relations: null,
  functions: null,
  review: null,
  redactions: null,
  details: null,
  programs: ['curl', 'sh'],
  paths: ['/', '/etc/', '/etc/shadow'],
  destinations: null,
  parent: 1,
  how: 'reconstructed',
  protocol: 'postgres',
};

async function text(events: readonly EvidenceEvent[], form: ExportFormat): Promise<string> {
  let whole = '';
  for await (const piece of format(events, form)) whole += piece;
  return whole;
}

function python(csv: string): Record<string, string>[] | null {
  const program =
    'import csv,json,sys,io\n' +
    'csv.field_size_limit(1<<30)\n' +
    "rows=csv.DictReader(io.TextIOWrapper(sys.stdin.buffer,'utf-8',newline=''),strict=True)\n" +
    'sys.stdout.write(json.dumps(list(rows)))';
  const ran = spawnSync('python3', ['-c', program], { input: csv, maxBuffer: 1 << 28, encoding: 'utf8' });
  if (ran.error !== undefined) return null;
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout) as Record<string, string>[];
}

test('JSON is one array and JSON Lines one object a line; both hold the events as they are', async () => {
  assert.deepEqual(JSON.parse(await text([], 'json')), []);
  assert.deepEqual(JSON.parse(await text([event], 'json')), [event]);
  assert.deepEqual(JSON.parse(await text([event, event], 'json')), [event, event]);
  assert.equal(await text([], 'jsonl'), '');
  const lines = (await text([event, event], 'jsonl')).split('\n');
  assert.equal(lines.pop(), '');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [event, event],
  );
});

test('CSV is RFC 4180 with CRLF, and a formula in it is text', async () => {
  const csv = await text([event], 'csv');
  const lines = csv.split(/\r\n(?=2026|$)/);
  assert.equal(
    lines[0],
    'time,kind,ended_at,duration_ms,principal_kind,issuer,subject,email,groups,session,target,task,reason,connection,' +
      'command,text,parameters,outcome,tag,rows,error_code,log_index,details,text_bytes,effects,relations,functions,review,redactions,' +
      'programs,paths,destinations,parent,how,acts_for_issuer,acts_for_subject,acts_for_email,protocol',
  );
  assert.equal(
    lines[1],
    '2026-11-21T23:30:00.000Z,command,2026-11-21T23:30:00.004Z,4.25,person,https://id.example,ana,ana@example.com,' +
      'engineering oncall,01JD0000000000000000000001,db-prod,,"look, ""closely""\r\nnow",1,2,' +
      `"'=HYPERLINK(""http://evil.example"")","[""a"",null]",succeeded,SELECT 1,1,,,,,,,,,,` +
      `"[""curl"",""sh""]","[""/"",""/etc/"",""/etc/shadow""]",,1,reconstructed,,,,postgres`,
  );
});

test('a foreign CSV reader gets back every text, and no cell that begins like a formula', async (t) => {
  const samples = fc.sample(fc.string({ unit: 'grapheme', maxLength: 40 }), 300);
  const texts = ['=1+1', '+1', '-1', '@x', '\tx', '\rx', "'x", '""', 'a\r\nb', 'ä, ö', ...samples].filter(
    (sample) => sample !== '' && !sample.includes('\0'),
  );
  const rows = python(
    await text(
      texts.map((sample) => ({ ...event, text: sample })),
      'csv',
    ),
  );
  if (rows === null) return t.skip('python3 is not installed');
  for (const row of rows) assert.doesNotMatch(row['text']!, /^[=+\-@\t\r\n]/);
  assert.deepEqual(
    rows.map((row) => row['text']!.replace(/^'/, '')),
    texts,
  );
});
