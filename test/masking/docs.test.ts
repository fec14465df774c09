/** docs/masking.md says what the program takes. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { detectorClasses, detectorNames } from '../../src/masking/detectors/catalog.ts';
import { maskModes } from '../../src/masking/modes.ts';
import { parseConfig } from '../../src/relay/config/config.ts';
import { RelayFile } from '../../src/relay/config/schema.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/masking.md'), 'utf8');

/** Code in the first column of the table below a heading. */
function rows(heading: string): string[] {
  const section = text.slice(text.indexOf(`${heading}\n`));
  const table = /\n\|[^]*?\n(?!\|)/.exec(section)![0].trim().split('\n').slice(2);
  return table.map((line) => /`([^`]+)`/.exec(line.split('|')[1]!)![1]!);
}

test('every detector, class, mode and key is described, and no other', () => {
  assert.deepEqual(rows('## Detectors').toSorted(), [...detectorNames].toSorted());
  assert.deepEqual(rows('## What stands instead'), [...maskModes]);
  for (const name of detectorClasses.keys())
    assert.ok(text.includes(`\`${name}\` (`) || text.includes(`\`${name}\`,`), name);
  const { rules, detectors } = RelayFile.shape.masking.unwrap().shape;
  const keys = Object.keys(rules.unwrap().element.shape).map((key) =>
    key === 'exempt' ? 'exempt.groups' : key,
  );
  assert.deepEqual(rows('## Rules').toSorted(), keys.toSorted());
  assert.deepEqual(
    rows('### Detectors of your own').toSorted(),
    Object.keys(detectors.unwrap().element.shape).toSorted(),
  );
});

test('the example is valid', async () => {
  const recipient = await identityToRecipient(await generateIdentity());
  const example = /```yaml\n([^]*?)```/.exec(text)![1]!.replace('age1…', recipient);
  const target =
    'targets: { db: { protocol: postgres, host: /run/pg, database: a, user: u, groups: [prod] } }';
  const { masking } = parseConfig('/etc/hoop/relay.yaml', `dataDir: /d\n${target}\n${example}`);
  assert.deepEqual(
    masking.rules.map(({ rule }) => rule.name),
    ['secrets', 'cards', 'people'],
  );
});
