/** What shell texts do, one line each. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { CommandFacts } from '../../../../src/model/command-facts.ts';
import { openShellClassifier } from '../../../../src/relay/shell-grammar.ts';
import { onTerminal, table } from './texts.ts';

const classifier = await openShellClassifier();
const shown = (facts: CommandFacts): string =>
  [facts.effects, facts.programs, facts.paths ?? []]
    .map((list) => list.join(' '))
    .join('; ')
    .replace(/[; ]+$/, '');

test('what texts do', () => {
  for (const [text, expected] of table)
    assert.equal(shown(classifier.classify(Buffer.from(text), 'pipe')), expected, text);
});

test('a pager on a terminal runs what its user types', () => {
  for (const [text, expected] of onTerminal)
    assert.equal(shown(classifier.classify(Buffer.from(text))), expected, text);
});

test('equal facts are one object, and lists are sorted', () => {
  const [one, other] = ['cat /etc/b /etc/a | sort', 'cat  /etc/a  /etc/b|sort'].map((text) =>
    classifier.classify(Buffer.from(text)),
  );
  assert.equal(one, other);
  assert.deepEqual(one!.paths, ['/', '/etc/', '/etc/a', '/etc/b']);
  assert.deepEqual(one!.programs, ['cat', 'sort']);
  assert.ok(Object.isFrozen(one) && Object.isFrozen(one!.paths) && Object.isFrozen(one!.effects));
  assert.equal(classifier.classify(Buffer.from('ls')).paths, undefined);
});

test('an empty text does nothing', () => {
  for (const text of ['', ' ', '\n\t\n', '# nothing'])
    assert.deepEqual(classifier.classify(Buffer.from(text)).effects, [], text);
});

test('what is not UTF-8, or longer than is read, is unknown', () => {
  for (const bytes of [
    Buffer.from([0x6c, 0x73, 0xff]),
    Buffer.from('ls\0'),
    Buffer.from(`ls ${'a'.repeat(8192)}`),
    Buffer.alloc(1_000_000, 'a'),
  ])
    assert.deepEqual(classifier.classify(bytes).effects, ['unknown']);
});

const nest = (times: number): string => `${'sudo '.repeat(times)}ls`;

test('shells in shells are followed to a depth, then unknown', () => {
  assert.deepEqual(classifier.classify(Buffer.from(nest(5))).effects, ['privilege', 'read']);
  assert.ok(classifier.classify(Buffer.from(nest(50))).effects.includes('unknown'));
  const many = Array.from({ length: 60 }, () => "sh -c 'ls'").join(';');
  assert.ok(classifier.classify(Buffer.from(many)).effects.includes('unknown'));
});
