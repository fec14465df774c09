import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createLogger } from '../../src/relay/logging.ts';
import type { LogFields, RelayLogger } from '../../src/relay/logging.ts';
import { RelayError } from '../../src/relay/error.ts';

function memory(level: 'debug' | 'info' = 'debug'): {
  log: RelayLogger;
  text: () => string;
  lines: () => unknown[];
} {
  let text = '';
  const log = createLogger(level, { write: (line) => (text += line) });
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): unknown => JSON.parse(line));
  return { log, text: () => text, lines };
}

test('a line is JSON with time, level, event and the named fields', () => {
  const { log, lines } = memory();
  log.info('session opened', { session: '01JD', target: 'db-prod', policies: ['a', 'b'], ms: 3 });
  const [line] = lines();
  assert.ok(typeof line === 'object' && line !== null && 'time' in line && typeof line.time === 'string');
  assert.match(line.time, /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.deepEqual(
    { ...line, time: '' },
    {
      level: 'info',
      time: '',
      event: 'session opened',
      session: '01JD',
      target: 'db-prod',
      policies: ['a', 'b'],
      ms: 3,
    },
  );
});

test('every field that callers may name is on the list', () => {
  const { log, lines } = memory();
  log.warn('stream fails', { stream: 'siem', witness: 'w' });
  assert.deepEqual(lines(), [{ ...(lines()[0] as object), stream: 'siem', witness: 'w' }]);
});

test('a field that is not on the list does not get in, whatever a caller passes', () => {
  const { log, text, lines } = memory();
  const careless: LogFields = Object.assign(
    { session: '01JD' },
    {
      email: 'ana@example.com',
      sql: "select 'hunter2'",
      headers: { authorization: 'DPoP hunter2' },
      password: 'hunter2',
    },
  );
  log.info('x', careless);
  const nested: LogFields = JSON.parse('{"target":{"host":"hunter2"},"session":{"a":"hunter2"}}');
  log.info('x', nested);
  assert.ok(!/hunter2|ana@example|authorization/.test(text()), text());
  assert.equal(lines().length, 2);
});

test('errors: hoop’s own speak, others give name, code and place but never their text', () => {
  const { log, text } = memory();
  const driver = Object.assign(
    new Error('Key (email)=(ana@example.com) already exists\nhunter2 at line 1:2'),
    {
      code: '23505',
      detail: 'hunter2',
      query: 'select hunter2',
    },
  );
  log.error('state failed', {}, driver);
  log.error(
    'x',
    {},
    new RelayError('target-unreachable', 'the target did not answer', { hint: 'look there', cause: driver }),
  );
  log.error('x', {}, Object.assign(new TypeError('hunter2'), { code: 'has spaces hunter2' }));
  log.error('x', {}, 'hunter2');
  log.error('x', {}, { message: 'hunter2' });
  log.error('x', {}, new AggregateError([driver], 'hunter2'));
  const circular = new Error('hunter2');
  circular.cause = circular;
  log.error('x', {}, circular);
  assert.ok(!/hunter2|ana@/.test(text()), text());
  assert.match(text(), /"code":"23505"/);
  assert.match(text(), /the target did not answer/);
  assert.match(text(), /"hint":"look there"/);
  assert.match(text(), /logging\.test\.ts/);
});

test('a line break in a value stays inside its line', () => {
  const { log, lines, text } = memory();
  log.warn('x', { reason: 'a\n{"level":60}\r\u2028b' });
  assert.equal(lines().length, 1);
  assert.equal(text().trimEnd().split('\n').length, 1);
});

test('lines below the level are not made', () => {
  const { log, lines } = memory('info');
  log.debug('x');
  assert.equal(lines().length, 0);
  log.info('x');
  assert.equal(lines().length, 1);
});
