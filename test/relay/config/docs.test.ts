/** docs/configuration.md, policy.md and operations.md say what the program takes: keys, examples, actions, metrics. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { parseConfig } from '../../../src/relay/config/config.ts';
import { RelayFile } from '../../../src/relay/config/schema.ts';
import { upstreamSchema } from '../../../src/relay/config/upstream.ts';
import { RelayMetrics } from '../../../src/relay/metrics.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { actions } from '../../../src/policy/schema.ts';

const read = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, '../../../docs', name), 'utf8');

/** First column of the tables below a line that begins with `heading`; several keys in one cell are several. */
function documentedKeys(text: string, heading: string): string[] {
  const section = text.slice(text.indexOf(heading) + heading.length);
  const lines = section.split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const rest = lines.slice(start);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest
    .slice(2, end === -1 ? undefined : end)
    .flatMap((line) => [...line.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, key]) => key!));
}

/** Paths of all leaves of a schema; a record ends the walk. */
function keysOf(schema: unknown, prefix = ''): string[] {
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([key, value]) =>
      keysOf(value, prefix === '' ? key : `${prefix}.${key}`),
    );
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return keysOf(schema.unwrap(), prefix);
  return [prefix];
}

function targetSchemas(): [string, unknown][] {
  const { options } = RelayFile.shape.targets.unwrap().valueType;
  return options.map((each) => [each.shape.protocol.options[0]!, each]);
}

function webhookSchema(): unknown {
  return RelayFile.shape.reviews.unwrap().shape.webhooks.unwrap().element;
}

function machineSchema(): unknown {
  return RelayFile.shape.identity.unwrap().shape.machines.unwrap().element;
}

function block(text: string, language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(text);
  assert.ok(found, `no ${language} block`);
  return found[1]!;
}

test('every key of relay.yaml is described, and no other', () => {
  const text = read('configuration.md');
  assert.deepEqual(documentedKeys(text, '## Keys').toSorted(), keysOf(RelayFile).toSorted());
  const common = documentedKeys(text, 'Of a target, below');
  for (const [protocol, schema] of targetSchemas()) {
    const own = documentedKeys(text, `Of a target with \`protocol: ${protocol}\``);
    assert.deepEqual([...common, ...own].toSorted(), keysOf(schema).toSorted());
  }
  assert.deepEqual(documentedKeys(text, 'Of a rule, in').toSorted(), keysOf(machineSchema()).toSorted());
  for (const upstream of upstreamSchema.options)
    assert.deepEqual(
      documentedKeys(text, `Of an upstream with \`kind: ${upstream.shape.kind.value}\``).toSorted(),
      keysOf(upstream).toSorted(),
    );
  assert.deepEqual(documentedKeys(text, 'Of a webhook').toSorted(), keysOf(webhookSchema()).toSorted());
});

test('the example configuration is valid', () => {
  const config = parseConfig('/etc/hoop/relay.yaml', block(read('configuration.md'), 'yaml'));
  assert.deepEqual([...config.targets.keys()], ['db-prod']);
});

test('the example of saml.md is valid', () => {
  const config = parseConfig('/etc/hoop/relay.yaml', `dataDir: .\n${block(read('saml.md'), 'yaml')}`);
  assert.equal(config.identity.kind === 'embedded' && config.identity.upstream?.kind, 'saml');
});

test('the examples of servers.md are valid', () => {
  const text = read('servers.md');
  const rules = [...text.matchAll(/^```\n(@id[^]*?)```/gm)].map(([, policy]) => policy!);
  assert.equal(rules.length, 3);
  const policies = Policies.parse([{ name: 'servers.md', text: rules.join('\n') }]);
  assert.equal(policies.ids.length, 3);
  const targets = block(text, 'yaml').replaceAll('AAAA…', 'A'.repeat(68));
  assert.equal(parseConfig('/etc/hoop/relay.yaml', `dataDir: .\n${targets}`).targets.size, 1);
});

const machines = (shape: string): string => `dataDir: .\nidentity:\n${shape}`;

test('the examples of machines.md are valid', () => {
  const text = read('machines.md');
  const rules = [...text.matchAll(/^ {4}- name: [^]*?(?=^```)/gm)].map(([rule]) => rule);
  assert.equal(rules.length, 4);
  const assistants = rules.pop()!;
  const config = parseConfig('/etc/hoop/relay.yaml', machines(`  machines:\n${rules.join('')}`));
  assert.deepEqual(
    config.machines.map(({ name }) => name),
    ['shop-deploy', 'shop-pipeline', 'nightly'],
  );
  const issuer = '  issuer: https://login.example.com\n  clientId: hoop\n';
  const external = parseConfig('/etc/hoop/relay.yaml', machines(`${issuer}  machines:\n${assistants}`));
  assert.equal(external.machines[0]?.actor?.text, 'assistant-*');
  const policies = [...text.matchAll(/^(permit [^]*?;)$/gm)].map(([, policy]) => policy!);
  assert.equal(policies.length, 2);
  assert.equal(Policies.parse([{ name: 'machines.md', text: policies.join('\n') }]).ids.length, 2);
});

test('the example policies are valid, and every action is described', () => {
  const text = read('policy.md');
  const policies = Policies.parse([{ name: 'policy.md', text: block(text, 'cedar') }]);
  assert.deepEqual(policies.warnings, []);
  assert.deepEqual(
    policies.ids.filter((id) => id.startsWith('policy.md')),
    [],
    'each has a name',
  );
  assert.ok(policies.ids.some((id) => policies.policy(id)?.review !== null));
  const described = documentedKeys(text, '## Actions');
  assert.deepEqual(described.toSorted(), actions.toSorted());
});

const one = (): number => 1;

test('the metrics that operators are told to watch exist', async () => {
  const metrics = new RelayMetrics('1');
  metrics.observe({
    liveSessions: one,
    liveConnections: one,
    sealerBacklogBytes: one,
    room: () => ({ availableBytes: 1, reserveBytes: 1, level: 'enough' }),
    breakGlassOpen: () => false,
    logEntries: one,
    logFailing: () => false,
    checkpointLagSeconds: one,
    witnesses: () => [],
    archive: () => ({ kind: 's3', lag: 4, failures: 2, lost: 0, bytes: 1024 }),
    streams: () => [],
    witnessedEntries: one,
  });
  const names = new Set((await metrics.registry.getMetricsAsJSON()).map(({ name }) => name));
  const told = [...read('operations.md').matchAll(/`(hoop_\w+)`/g)].map(([, name]) => name!);
  assert.ok(told.length > 0);
  for (const name of told) assert.ok(names.has(name), name);
  metrics.registry.clear();
});
