import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unknownFacts, type CommandFacts } from '../../../src/model/command-facts.ts';
import { ParsedTexts } from '../../../src/protocols/postgres/parsed-texts.ts';

/** Facts that name their text. */
const factsOf = (text: Uint8Array): CommandFacts => ({
  effects: ['read'],
  relations: [Buffer.from(text).toString('hex')],
  functions: [],
  programs: [],
});

test('a text has its own facts, whatever was asked before, and whatever becomes of its bytes', () => {
  const texts = fc.uint8Array({ maxLength: 6, max: 2 });
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 60 }), (asked) => {
      const parsed = new ParsedTexts(factsOf);
      for (const text of asked) {
        const lent = Uint8Array.from(text);
        assert.deepEqual(parsed.classify(lent), factsOf(text));
        lent.fill(7);
      }
    }),
  );
});

test('a text that comes again is not looked at again; one too long to be kept is', () => {
  let looks = 0;
  const parsed = new ParsedTexts((text) => {
    looks++;
    return factsOf(text);
  });
  const once = parsed.classify(Buffer.from('select 1'));
  assert.equal(parsed.classify(Buffer.from('select 1')), once);
  assert.equal(looks, 1);
  for (let i = 0; i < 2; i++) parsed.classify(Buffer.alloc(5000, 'x'));
  assert.equal(looks, 3);
});

test('what could not be told for a moment is asked again', () => {
  const answers = [unknownFacts, factsOf(Buffer.from('select 1'))];
  const parsed = new ParsedTexts(() => answers.shift()!);
  assert.equal(parsed.classify(Buffer.from('select 1')), unknownFacts);
  assert.deepEqual(parsed.classify(Buffer.from('select 1')).effects, ['read']);
});
