/** What a session has of its person's groups is what they would get now, or less. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Principal } from '../../src/model/principal.ts';
import { parseConfig } from '../../src/relay/config/config.ts';
import { keepsGrants } from '../../src/relay/sessions/grants.ts';

const config = parseConfig(
  '/nowhere/relay.yaml',
  `dataDir: .
targets:
  server:
    protocol: ssh
    host: 127.0.0.1
    logins: [{ group: dba, user: postgres }, { group: engineering, user: deploy }]
    password: env:PASSWORD
`,
);
const [target] = config.targets.values();
const inGroups = (...groups: string[]): Principal => ({
  kind: 'person',
  issuer: 'https://idp.test',
  subject: 'ana',
  email: null,
  groups,
  actsFor: null,
});

test('who would sign in at the server as somebody else now, or not at all, does not go on as they were', () => {
  const dba = inGroups('dba', 'engineering');
  assert.equal(keepsGrants(config, target!, dba, inGroups('dba', 'more')), true);
  assert.equal(keepsGrants(config, target!, dba, inGroups('engineering')), false);
  assert.equal(keepsGrants(config, target!, dba, inGroups()), false);
  assert.equal(keepsGrants(config, target!, inGroups('engineering'), dba), false);
});
