/** Every kind of event against the published schema: `ocsf-1.6.0.json` has its names, types, numbers and what is required. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { lineOf } from '../../../src/evidence/export/formats.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { hostile, samples } from './samples.ts';

interface Attribute {
  readonly type: string;
  readonly required?: boolean;
  readonly enum?: readonly number[] | Readonly<Record<string, string>>;
  readonly profile?: string;
}
interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly atLeastOne?: readonly string[];
}
interface Schema {
  readonly classes: readonly (Shape & { readonly uid: number; readonly name: string })[];
  readonly objects: Readonly<Record<string, Shape>>;
}
const schema = JSON.parse(readFileSync(path.join(import.meta.dirname, 'ocsf-1.6.0.json'), 'utf8')) as Schema;

type Value = Readonly<Record<string, unknown>>;

/** What the schema does not allow. */
function* wrong(shape: Shape, value: Value, at: string): Generator<string> {
  for (const [name, { required }] of Object.entries(shape.attributes))
    if (required && value[name] === undefined) yield `${at}.${name} is missing`;
  if (shape.atLeastOne && !shape.atLeastOne.some((name) => value[name] !== undefined))
    yield `${at} has none of ${shape.atLeastOne.join(', ')}`;
  for (const [name, given] of Object.entries(value)) {
    const attribute = shape.attributes[name];
    if (attribute === undefined) yield `${at}.${name} is unknown`;
    else if (attribute.type.endsWith('[]')) {
      if (!Array.isArray(given)) yield `${at}.${name} is no array`;
      else
        for (const item of given)
          yield* ofType(attribute.type.slice(0, -2), attribute, item, `${at}.${name}`);
    } else yield* ofType(attribute.type, attribute, given, `${at}.${name}`);
  }
}

function* ofType(type: string, { enum: allowed }: Attribute, value: unknown, at: string): Generator<string> {
  if (type === 'any') return;
  if (type.startsWith('object:')) {
    if (typeof value === 'object' && value !== null)
      yield* wrong(schema.objects[type.slice(7)]!, value as Value, at);
    else yield `${at} is no object`;
  } else if (type === 'integer' ? !Number.isSafeInteger(value) : typeof value !== type)
    yield `${at} is no ${type}`;
  else if (
    allowed &&
    !(Array.isArray(allowed) ? allowed : Object.keys(allowed).map(Number)).includes(value as number)
  )
    yield `${at} is ${String(value)}`;
}

function check(event: EvidenceEvent): Value {
  const line = lineOf(event, 'ocsf');
  assert.doesNotMatch(line, /\n/);
  const value = JSON.parse(line) as Value;
  const found = schema.classes.find(({ uid }) => uid === value['class_uid']);
  assert.ok(found, `${event.kind} has no class`);
  assert.deepEqual([...wrong(found, value, found.name)], [], event.kind);
  const activities = found.attributes['activity_id']!.enum as Readonly<Record<string, string>>;
  assert.equal(value['activity_name'], activities[String(value['activity_id'])], event.kind);
  assert.equal(value['class_name'], found.name);
  assert.equal(value['type_uid'], found.uid * 100 + Number(value['activity_id']));
  assert.equal(value['category_uid'], Math.floor(found.uid / 1000));
  const profiles = (value['metadata'] as { profiles: string[] }).profiles;
  const fromProfiles = Object.keys(value).map((name) => found.attributes[name]?.profile);
  for (const profile of fromProfiles)
    if (profile !== undefined) assert.ok(profiles.includes(profile), event.kind);
  return value;
}

test('every kind has its class, and each event holds what the published schema asks for', () => {
  const used = new Map(
    samples.map((event) => [`${event.kind} ${event.text}`, Number(check(event)['class_uid'])]),
  );
  const unknown = samples.filter((event) => check(event)['class_uid'] === 0);
  assert.deepEqual(
    unknown.map(({ kind }) => kind),
    ['of a later version'],
  );
  assert.equal(
    new Set(used.values()).size,
    schema.classes.length,
    'the schema at hand is of the classes in use',
  );
});

test('an event that the schema does not allow is found', () => {
  const [first] = schema.classes;
  assert.ok([...wrong(first!, { time: 'now', new: 1, severity_id: 7 }, 'x')].length >= 10);
});

test('nothing is lost: what OCSF has no place for stands in unmapped', () => {
  for (const event of samples) {
    const { unmapped } = check(event) as { unmapped: Value };
    for (const name of [
      'details',
      'parameters',
      'relations',
      'paths',
      'tag',
      'session',
      'review',
      'text',
    ] as const)
      if (event[name] !== null) assert.deepEqual(unmapped[name], event[name], `${event.kind} ${name}`);
  }
});

test('hostile texts stay values', () => {
  for (const event of samples)
    for (const text of hostile)
      check({ ...event, text: event.text && text, reason: text, task: text, errorCode: text });
});
