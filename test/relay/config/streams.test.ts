import { test } from 'node:test';
import assert from 'node:assert/strict';
import { StreamFile, streamProblems } from '../../../src/relay/config/streams.ts';
import { parseDestination } from '../../../src/relay/streams/address.ts';

const form = (text: string) => parseDestination(text, '/base')?.text ?? null;

const problems = (...streams: object[]) =>
  [...streamProblems(streams.map((stream) => StreamFile.parse(stream)))].map(
    ({ path, message }) => `${path.slice(2).join('.')} ${message}`,
  );

test('destinations: three forms, and nothing that would put a secret into a log', () => {
  assert.equal(form('https://siem.example.com/in'), 'https://siem.example.com/in');
  assert.equal(form('syslog+tls://siem.example.com'), 'syslog+tls://siem.example.com:6514');
  assert.equal(form('syslog+tls://[::1]:7000'), 'syslog+tls://[::1]:7000');
  assert.equal(form('file:events.jsonl'), 'file:/base/events.jsonl');
  assert.equal(form('file:///var/log/hoop.jsonl'), 'file:/var/log/hoop.jsonl');
  assert.equal(form('http://127.0.0.1:8080/in'), 'http://127.0.0.1:8080/in');
  for (const text of [
    'http://siem.example.com/',
    'https://a:b@siem.example.com/',
    'https://siem.example.com/?token=x',
    'https://siem.example.com/#x',
    'syslog+tls://siem.example.com/path',
    'syslog://siem.example.com',
    'file:',
    'tcp://x:1',
    '',
  ])
    assert.equal(form(text), null, text);
});

test('what does not go together is refused, by name', () => {
  const siem = { name: 'siem', to: 'syslog+tls://siem.example.com' };
  const web = { name: 'web', to: 'https://web.example.com/in' };
  const copy = { name: 'copy', to: 'file:copy' };
  assert.deepEqual(problems(siem, web, copy), []);
  assert.deepEqual(problems(siem, siem), ['1.name another stream has this name']);
  assert.match(problems({ ...siem, format: 'ocsf' })[0]!, /^0\.format expected syslog or cef/);
  assert.match(problems({ ...copy, token: 'env:T' })[0]!, /^0\.token only for https/);
  assert.match(
    problems({ ...web, token: 'the-secret' })[0]!,
    /^0\.token a secret does not belong in this file/,
  );
  assert.match(problems({ ...web, certFile: 'c' })[0]!, /^0\.keyFile expected certFile and keyFile/);
  assert.match(problems({ ...copy, caFile: 'c' })[0]!, /^0\.caFile only for/);
});
