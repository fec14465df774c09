/** syslog and CEF: one line an event whatever is in it, read back by parsers that are written from the specifications. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lineOf } from '../../../src/evidence/export/formats.ts';
import { gravityOf } from '../../../src/evidence/export/gravity.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { hostile, samples } from './samples.ts';

const filled = (event: EvidenceEvent, text: string): EvidenceEvent => ({
  ...event,
  text: event.text === null ? null : text,
  reason: text,
  task: text,
  errorCode: text,
  target: text,
  principal: event.principal && { ...event.principal, email: text, subject: text },
  details: { text },
});

/** RFC 5424 §6. */
function readSyslog(line: string) {
  const head = /^<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) \[([^ \]]+)((?: [^= "\]]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] \uFEFF/u.exec(line); // prettier-ignore
  assert.ok(head, line.slice(0, 300));
  const parameters = [...head[8]!.matchAll(/ ([^=]+)="((?:[^"\\\]]|\\["\\\]])*)"/g)];
  const values = parameters.map(
    ([, name, value]) => [name, value!.replaceAll(/\\(["\\\]])/g, '$1')] as const,
  );
  return {
    priority: Number(head[1]),
    time: head[2]!,
    kind: head[6]!,
    values: Object.fromEntries(values) as Record<string, string>,
    message: JSON.parse(line.slice(head[0].length)) as Record<string, unknown>,
  };
}

/** Header of seven fields, then keys; escapes as the format's guide has them. */
function readCef(line: string) {
  const fields = /^CEF:0((?:\|(?:[^|\\]|\\[|\\])*){6})\|/.exec(line);
  assert.ok(fields, line.slice(0, 300));
  const header = fields[1]!.split(/(?<=(?:^|[^\\])(?:\\\\)*)\|/).slice(1);
  const extension: Record<string, string> = {};
  const rest = line.slice(fields[0].length);
  const keys = [...rest.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)];
  for (const [at, found] of keys.entries()) {
    const value = rest.slice(found.index + found[0].length, keys[at + 1]?.index ?? rest.length);
    extension[found[1]!] = value.replaceAll(/\\([=\\])/g, '$1');
  }
  return { header, extension };
}

const plain = (line: string): void => {
  assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u);
  assert.ok(Buffer.byteLength(line) <= 32 * 1024, String(Buffer.byteLength(line)));
};

test('syslog: priority, time, id and message of every kind', () => {
  for (const event of samples) {
    const line = lineOf(event, 'syslog');
    plain(line);
    const { priority, time, kind, values, message } = readSyslog(line);
    assert.equal(priority >> 3, 13);
    assert.equal(time, event.time);
    assert.equal(kind, event.kind.replaceAll(' ', ''));
    assert.equal(values['session'], event.session ?? undefined);
    assert.equal(values['subject'], event.principal?.subject);
    assert.deepEqual(message, JSON.parse(JSON.stringify(event)));
  }
});

test('CEF: header and keys of every kind', () => {
  for (const event of samples) {
    const line = lineOf(event, 'cef');
    plain(line);
    const { header, extension } = readCef(line);
    assert.deepEqual([header[0], header[1], header[3]], ['hoop', 'hoop', event.kind]);
    assert.ok(Number(header[5]) >= 1 && Number(header[5]) <= 10);
    assert.equal(extension['dhost'], event.target ?? undefined);
    assert.equal(extension['msg'], event.text ?? undefined);
    assert.equal(extension['suid'], event.principal?.subject);
    assert.equal(extension['cs1Label'], event.session === null ? undefined : 'session');
  }
});

function check(text: string): void {
  for (const event of samples.map((sample) => filled(sample, text))) {
    for (const form of ['syslog', 'cef'] as const) plain(lineOf(event, form));
    const { values, message } = readSyslog(lineOf(event, 'syslog'));
    assert.ok(Object.keys(values).every((name) => /^[a-zA-Z]+$/.test(name)));
    assert.equal(message['kind'], event.kind);
    if (text.length < 1000) assert.deepEqual(message, JSON.parse(JSON.stringify(event)));
    const { extension } = readCef(lineOf(event, 'cef'));
    assert.equal(extension['act'], event.kind);
    if (/^[\w |\\=]{1,200}$/.test(text) && !/(^| )\w+=/.test(text)) assert.equal(extension['dhost'], text);
  }
}

test('hostile and random texts: still one line, within its bound, and nothing forged', () => {
  for (const text of hostile) check(text);
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), check), { numRuns: 50 });
});

test('what would reorder a shown line stands as an escape: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069', () => {
  for (const mark of '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069') {
    const text = `a${mark}b`;
    const escaped = `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`;
    const event = filled(samples[0]!, text);
    const { values, message } = readSyslog(lineOf(event, 'syslog'));
    assert.equal(values['target'], `a${escaped}b`);
    assert.equal(message['target'], text, 'JSON has an escape of its own, so nothing is lost');
    const cef = lineOf(event, 'cef');
    assert.equal(readCef(cef).extension['dhost'], `a${escaped}b`);
    for (const line of [lineOf(event, 'syslog'), cef]) plain(line);
  }
  // What is written from right to left by itself stays as it is.
  const hebrew = filled(samples[0]!, 'שלום');
  assert.equal(readCef(lineOf(hebrew, 'cef')).extension['dhost'], 'שלום');
});

const of = (kind: string, outcome: string | null = null) => gravityOf({ ...samples[0]!, kind, outcome });

test('how grave: what was stopped is more than what went, what is missing is most', () => {
  assert.equal(of('command', 'succeeded'), 'informational');
  assert.equal(of('command', 'blocked'), 'medium');
  assert.equal(of('gap'), 'critical');
  assert.equal(of('break-glass.used'), 'critical');
});
