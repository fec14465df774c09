import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadConfig, parseConfig } from '../../../src/relay/config/config.ts';
import type { RelayConfig } from '../../../src/relay/config/config.ts';
import type { PostgresTargetConfig } from '../../../src/relay/config/targets.ts';
import { ConfigError } from '../../../src/relay/config/error.ts';
import { isLoopback } from '../../../src/relay/config/loopback.ts';
import { SecretReference } from '../../../src/relay/config/secret.ts';
import { isTargetName } from '../../../src/model/ids.ts';

const parse = (text: string): RelayConfig => parseConfig('/etc/hoop/relay.yaml', text);

function target(config: RelayConfig, name: string): PostgresTargetConfig {
  assert.ok(isTargetName(name));
  const found = config.targets.get(name);
  assert.ok(found?.protocol === 'postgres');
  return found;
}

test('the least configuration: local, embedded, default deny, paths from dataDir', () => {
  const text = 'dataDir: /var/lib/hoop\n';
  const config = parse(text);
  assert.deepEqual(
    { ...config, targets: [...config.targets] },
    {
      source: { file: '/etc/hoop/relay.yaml', digest: createHash('sha256').update(text).digest('hex') },
      listen: { host: '127.0.0.1', port: 7443 },
      publicUrl: 'http://localhost:7443',
      tls: null,
      behindProxy: null,
      dataDir: '/var/lib/hoop',
      keys: { directory: '/var/lib/hoop/keys' },
      log: {
        origin: 'localhost:7443/log',
        key: { kind: 'file', file: '/var/lib/hoop/keys/log.key' },
        nextKey: null,
        witnesses: [],
        quorum: 0,
      },
      logging: { level: 'info' },
      metrics: { allow: ['127.0.0.0/8', '::1'] },
      evidence: {
        directory: '/var/lib/hoop/evidence',
        durability: 'process',
        syncTimeoutMs: 10_000,
        backlogBytes: 256 * 2 ** 20,
        originals: null,
        retention: { all: { recordingsMs: null, originalsMs: null }, targets: new Map() },
        archive: null,
        streams: [],
        space: { warn: { percent: 10 }, critical: { percent: 5 }, reserveBytes: 64 * 2 ** 20 },
      },
      state: { kind: 'sqlite', file: '/var/lib/hoop/state.db' },
      identity: { kind: 'embedded', upstream: null },
      machines: [],
      tokens: { lifetimeMs: 900_000, signInLifetimeMs: 43_200_000 },
      sessions: {
        defaultDurationMs: 28_800_000,
        maxDurationMs: 43_200_000,
        detachedMs: 60_000,
        drainMs: 30_000,
      },
      reviews: { expiresAfterMs: 900_000, webhooks: [] },
      masking: { rules: [], exemptColumns: [], custom: new Map() },
      limits: { statementBytes: 64 * 2 ** 20 },
      policies: [],
      targets: [],
    },
  );
});

test('a whole production configuration: every key arrives, relative paths start at the file', () => {
  const config = parse(`
dataDir: data
publicUrl: https://relay.example.com/
listen: { host: 0.0.0.0, port: 443 }
tls: { certFile: tls/cert.pem, keyFile: tls/key.pem }
behindProxy: { trusted: [10.0.0.0/8, "fd00::/8"] }
keys: { directory: shared-keys }
log: { origin: relay.example.com/log/a, keyFile: log-a.key }
logging: { level: warn }
metrics: { allow: [10.1.0.0/16] }
evidence: { directory: /srv/evidence, durability: disk, syncTimeout: 5s, backlog: 1GiB }
state: { postgres: "env:HOOP_STATE" }
identity:
  issuer: https://login.example.com/tenant/
  clientId: hoop
  scopes: [openid, groups]
  groupsClaim: roles
  clientSecret: env:HOOP_CLIENT
  groupsMap: { Ana@Example.com: [dba], "@example.com": [staff] }
  clockSkew: 2m
tokens: { lifetime: 10m, signInLifetime: 1d }
sessions: { defaultDuration: 1h30m, maxDuration: 4h, detached: 5m, drain: 2m }
limits: { statement: 16MiB }
policies: [a.cedar, /etc/policies/b.cedar]
targets:
  db-prod:
    protocol: postgres
    description: orders
    groups: [prod, eu]
    host: db.example.com
    port: 6432
    database: app
    databases: [app, reports]
    user: file:db.user
    password: file:secrets/db.password
    tls: { mode: verify-full, caFile: ca.pem, certFile: c.pem, keyFile: c.key, serverName: db.internal }
  local:
    { protocol: postgres, host: /var/run/postgresql, database: app, databases: any, user: hoop }
`);
  assert.equal(config.publicUrl, 'https://relay.example.com');
  assert.deepEqual(config.tls, { certFile: '/etc/hoop/tls/cert.pem', keyFile: '/etc/hoop/tls/key.pem' });
  assert.deepEqual(config.behindProxy, { trusted: ['10.0.0.0/8', 'fd00::/8'] });
  assert.deepEqual(config.keys, { directory: '/etc/hoop/shared-keys' });
  assert.equal(config.log.origin, 'relay.example.com/log/a');
  assert.deepEqual(config.log.key, { kind: 'file', file: '/etc/hoop/log-a.key' });
  assert.equal(config.logging.level, 'warn');
  assert.deepEqual(config.metrics, { allow: ['10.1.0.0/16'] });
  assert.deepEqual(config.evidence, {
    directory: '/srv/evidence',
    durability: 'disk',
    syncTimeoutMs: 5000,
    backlogBytes: 2 ** 30,
    originals: null,
    retention: { all: { recordingsMs: null, originalsMs: null }, targets: new Map() },
    archive: null,
    streams: [],
    space: { warn: { percent: 10 }, critical: { percent: 5 }, reserveBytes: 64 * 2 ** 20 },
  });
  assert.ok(config.state.kind === 'postgres');
  assert.equal(String(config.state.url), 'env:HOOP_STATE');
  assert.deepEqual(config.identity, {
    kind: 'oidc',
    issuer: 'https://login.example.com/tenant/',
    clientId: 'hoop',
    clientSecret: SecretReference.parse('env:HOOP_CLIENT', '/'),
    scopes: ['openid', 'groups'],
    groupsClaim: 'roles',
    groupsMap: new Map([
      ['ana@example.com', ['dba']],
      ['@example.com', ['staff']],
    ]),
    clockSkewSeconds: 120,
  });
  assert.deepEqual(config.tokens, { lifetimeMs: 600_000, signInLifetimeMs: 86_400_000 });
  assert.deepEqual(config.sessions, {
    defaultDurationMs: 5_400_000,
    maxDurationMs: 14_400_000,
    detachedMs: 300_000,
    drainMs: 120_000,
  });
  assert.equal(config.limits.statementBytes, 16 * 2 ** 20);
  assert.deepEqual(config.policies, ['/etc/hoop/a.cedar', '/etc/policies/b.cedar']);

  const prod = target(config, 'db-prod');
  assert.deepEqual(prod.groups, ['eu', 'prod']);
  assert.deepEqual([prod.host, prod.port, prod.description], ['db.example.com', 6432, 'orders']);
  assert.deepEqual([prod.database, prod.databases], ['app', ['app', 'reports']]);
  assert.equal(String(prod.user), 'file:/etc/hoop/db.user');
  assert.equal(String(prod.password), 'file:/etc/hoop/secrets/db.password');
  assert.deepEqual(prod.tls, {
    mode: 'verify-full',
    caFile: '/etc/hoop/ca.pem',
    clientCertificate: { certFile: '/etc/hoop/c.pem', keyFile: '/etc/hoop/c.key' },
    serverName: 'db.internal',
  });
  const local = target(config, 'local');
  assert.deepEqual(
    [local.tls.mode, local.database, local.databases, local.user, local.password],
    ['disable', 'app', 'any', 'hoop', null],
  );
});

const data = 'dataDir: /d\n';
const db = `${data}targets:\n  db:\n    protocol: postgres\n    host: db.example.com\n    database: app\n    user: u\n`;
const https = `${data}publicUrl: https://r.example.com\ntls: { certFile: a, keyFile: b }\n`;

/** Each wrong file, and everything that is said about it: line:column, path, message. */
const wrong: [string, string, (string | RegExp)[]][] = [
  ['nothing', '', ['1:1 dataDir missing: expected a path']],
  ['not a mapping', '- 1\n', ['1:1  expected a mapping']],
  ['misspelt key', `${data}lisen: { port: 1 }\n`, ['2:1 lisen unknown key; did you mean listen?']],
  [
    'unknown key',
    `${data}sessions:\n  colour: red\n`,
    ['3:3 sessions.colour unknown key; known are defaultDuration, maxDuration, detached, drain'],
  ],
  [
    'two unknown keys',
    `${data}x: 1\nlog: { orign: a }\n`,
    [/^2:1 x unknown key; known are listen/, '3:8 log.orign unknown key; did you mean origin?'],
  ],
  [
    'a webhook over plain http',
    `${data}reviews: { webhooks: [{ url: "http://hooks.example.com/", secret: "env:S" }] }\n`,
    [/^2:30 reviews\.webhooks\.0\.url expected an https URL without user and password/],
  ],
  [
    'a webhook whose URL has a password',
    `${data}reviews: { webhooks: [{ url: "https://a:b@hooks.example.com/", secret: "env:S" }] }\n`,
    [/^2:30 reviews\.webhooks\.0\.url expected an https URL without user and password/],
  ],
  [
    'a webhook without a secret',
    `${data}reviews: { webhooks: [{ url: "https://hooks.example.com/" }] }\n`,
    [/^2:\d+ reviews\.webhooks\.0\.secret missing: expected env:NAME or file:PATH/],
  ],
  [
    'a webhook with its secret here',
    `${data}reviews: { webhooks: [{ url: "https://hooks.example.com/", secret: hunter2 }] }\n`,
    [/^2:\d+ reviews\.webhooks\.0\.secret a secret does not belong in this file/],
  ],
  [
    'reviews that wait for too long',
    `${data}reviews: { expiresAfter: 8d }\n`,
    [/^2:26 reviews\.expiresAfter expected a duration from 10s to 7d/],
  ],
  [
    'unknown detector',
    `${db}masking: { rules: [{ name: a, detect: [emial] }] }\n`,
    [/^8:40 masking\.rules\.0\.detect\.0 no such detector; known are private-key, jwt/],
  ],
  [
    'a masking rule that masks nothing',
    `${db}masking: { rules: [{ name: a }] }\n`,
    ['8:20 masking.rules.0 masks nothing: expected detect, columns or outputs'],
  ],
  [
    'two masking rules of one name',
    `${db}masking:\n  rules:\n    - { name: a, detect: [email] }\n    - { name: a, detect: [card] }\n`,
    ['11:15 masking.rules.1.name there is a rule a already'],
  ],
  [
    'masking for no target',
    `${db}masking: { rules: [{ name: a, detect: [email], targets: [dbb], targetGroups: [prod] }] }\n`,
    [
      '8:58 masking.rules.0.targets.0 no such target',
      '8:79 masking.rules.0.targetGroups.0 no target is in this group',
    ],
  ],
  [
    'misspelt mode',
    `${db}masking: { rules: [{ name: a, detect: [email], mode: redcat }] }\n`,
    [/^8:54 masking\.rules\.0\.mode expected redact or partial or .*did you mean redact\?/],
  ],
  [
    'a fixed value that could break a format',
    `${db}masking: { rules: [{ name: a, detect: [email], mode: fixed, value: 'a"b' }] }\n`,
    [/^8:68 masking\.rules\.0\.value expected at most 64 letters/],
  ],
  [
    'a value without its mode',
    `${db}masking: { rules: [{ name: a, detect: [email], value: x }] }\n`,
    ['8:55 masking.rules.0.value has a meaning with mode: fixed alone'],
  ],
  [
    'a column without its table',
    `${db}masking: { rules: [{ name: a, columns: [email] }], exemptColumns: [a.b.c.d] }\n`,
    [/^8:41 masking\.rules\.0\.columns\.0 expected schema\.table\.column/, /^8:68 masking\.exemptColumns\.0/],
  ],
  [
    'a pattern outside the language',
    `${db}masking: { detectors: [{ name: x, pattern: '(a' }] }\n`,
    ['8:44 masking.detectors.0.pattern character 3: a bracket that is not closed'],
  ],
  [
    'a detector of two kinds',
    `${db}masking: { detectors: [{ name: x, pattern: a, words: [b] }] }\n`,
    ['8:24 masking.detectors.0 expected either pattern or words'],
  ],
  [
    "a detector with a built-in one's name",
    `${db}masking: { detectors: [{ name: email, words: [b] }] }\n`,
    ['8:32 masking.detectors.0.name there is a detector email already'],
  ],
  [
    'a way to open a fail-closed row',
    `${data}evidence: { failOpen: true }\n`,
    [/^2:13 evidence\.failOpen unknown key/],
  ],
  ['wrong type', `${data}listen: { port: "7443" }\n`, ['2:17 listen.port expected a port from 1 to 65535']],
  ['port out of range', `${data}listen:\n  port: 0\n`, ['3:9 listen.port expected a port from 1 to 65535']],
  [
    'bad duration',
    `${data}sessions: { drain: 10 }\n`,
    [/^2:20 sessions\.drain expected a duration from 0s to 1h/],
  ],
  [
    'duration out of bounds',
    `${data}tokens: { lifetime: 2h }\n`,
    [/^2:21 tokens\.lifetime expected a duration from 10s to 1h/],
  ],
  [
    'bad size',
    `${data}limits: { statement: 64MB }\n`,
    [/^2:22 limits\.statement expected a size from 64KiB to 512MiB/],
  ],
  [
    'unknown choice',
    `${data}evidence:\n  durability: disc\n`,
    ['3:15 evidence.durability expected process or disk; did you mean disk?'],
  ],
  ['null value', `${data}log:\n  origin:\n`, [/^3:10 log\.origin expected the log's name/]],
  ['tab', `${data}listen:\n\tport: 1\n`, [/^3:1  Tabs are not allowed/]],
  ['duplicate key', `${data}dataDir: /e\n`, ['2:1  Map keys must be unique']],
  ['alias', `${data}listen: &a { port: 1 }\nlog: *a\n`, ['3:6  aliases are not supported']],
  ['merge key', `${data}listen: { <<: { port: 1 } }\n`, [/^2:11 listen\.<< unknown key/]],
  ['tag', `${data}log: !secret { origin: a }\n`, [/^2:6 {2}Unresolved tag/]],
  ['second document', `${data}---\na: 1\n`, ['2:1  Source contains multiple documents']],
  [
    'plain HTTP on the network',
    `${data}publicUrl: http://localhost\nlisten:\n  host: 0.0.0.0\n`,
    [/^4:9 listen\.host plain HTTP is served on loopback addresses only/],
  ],
  [
    'plain HTTP by name',
    `${data}publicUrl: http://localhost\nlisten:\n  host: relay.example.com\n`,
    [/^4:9 listen\.host plain HTTP/],
  ],
  [
    'no publicUrl',
    `${data}listen: { host: 0.0.0.0 }\ntls: { certFile: a, keyFile: b }\n`,
    [/^1:1 publicUrl missing/],
  ],
  [
    'http publicUrl for others',
    `${data}publicUrl: http://r.example.com\n`,
    [/^2:12 publicUrl expected https/],
  ],
  ['https without TLS', `${data}publicUrl: https://localhost\n`, [/^2:12 publicUrl https needs tls/]],
  [
    'http with TLS',
    `${data}publicUrl: http://localhost\ntls: { certFile: a, keyFile: b }\n`,
    [/^2:12 publicUrl expected https/],
  ],
  [
    'publicUrl with a path',
    `${https.replace('.com', '.com/hoop')}`,
    [/^2:12 publicUrl expected a URL without a path/],
  ],
  [
    'publicUrl with a password',
    `${https.replace('r.example', 'u:p@r.example')}`,
    [/^2:12 publicUrl expected an http or https URL/],
  ],
  ['half of TLS', `${data}tls: { certFile: a }\n`, ['2:1 tls.keyFile missing: expected a path']],
  [
    'bad network',
    `${https}behindProxy: { trusted: [10.0.0.0/33] }\n`,
    [/^4:26 behindProxy\.trusted\.0 expected an IP address or a network/],
  ],
  [
    'everybody a proxy by an empty list',
    `${https}behindProxy: { trusted: [] }\n`,
    [/^4:25 behindProxy\.trusted expected at least one/],
  ],
  [
    'two stores',
    `${data}state: { sqlite: a, postgres: "env:A" }\n`,
    ['2:31 state.postgres expected sqlite or postgres, not both'],
  ],
  [
    'inline connection string',
    `${data}state:\n  postgres: postgres://u:p@h/d\n`,
    [/^3:13 state\.postgres a connection string holds a password/],
  ],
  [
    'foreign issuer without client',
    `${data}identity:\n  issuer: https://i.example\n`,
    [/^3:3 identity\.clientId missing/],
  ],
  [
    'foreign issuer over http',
    `${data}identity: { issuer: "http://i.example", clientId: a }\n`,
    [/^2:21 identity\.issuer expected https/],
  ],
  [
    'a tenant of anybody',
    `${data}identity: { issuer: "https://login.microsoftonline.com/common/v2.0", clientId: a }\n`,
    [/^2:21 identity\.issuer anybody’s tenant would do/],
  ],
  [
    'a client secret in the file',
    `${data}identity: { issuer: "https://i.example", clientId: a, clientSecret: GOCSPX }\n`,
    [/^2:\d+ identity\.clientSecret expected env:NAME/],
  ],
  [
    'groups of nobody',
    `${data}identity: { issuer: "https://i.example", clientId: a, groupsMap: { ana: [dba] } }\n`,
    [/identity\.groupsMap/],
  ],
  [
    'embedded with a client',
    `${data}identity: { clientId: a }\n`,
    [/^2:23 identity\.clientId only for an issuer that is not embedded/],
  ],
  [
    'an upstream of an issuer that is not embedded',
    `${data}identity: { issuer: "https://i.example", clientId: a, upstream: { kind: saml, metadata: a.xml } }\n`,
    [/identity\.upstream only for the embedded issuer/],
  ],
  [
    'SAML metadata over http',
    `${data}identity: { upstream: { kind: saml, metadata: "http://idp.example.com/x" } }\n`,
    [/identity\.upstream\.metadata expected https/],
  ],
  [
    'SAML metadata from a URL with a password',
    `${data}identity: { upstream: { kind: saml, metadata: "https://u:p@idp.example.com/x" } }\n`,
    [/identity\.upstream\.metadata expected a path, or an https URL without user and password/],
  ],
  [
    'a SAML clock that may be off by an hour',
    `${data}identity: { upstream: { kind: saml, metadata: a.xml, clockSkew: 1h } }\n`,
    [/identity\.upstream\.clockSkew expected a duration from 0s to 5m/],
  ],
  [
    'an OpenID upstream with an external issuer',
    `${data}identity: { issuer: "https://i.example", clientId: a, upstream: { kind: oidc, issuer: "https://u.example", clientId: b } }\n`,
    [/^2:65 identity\.upstream only for the embedded issuer/],
  ],
  [
    'an upstream by http, with its secret in the file, without openid',
    `${data}identity:\n  upstream: { kind: oidc, issuer: "http://u.example", clientId: b, clientSecret: hush, scopes: [email] }\n`,
    [
      /^3:35 identity\.upstream\.issuer expected https/,
      /^3:82 identity\.upstream\.clientSecret a secret does not belong in this file/,
      /^3:96 identity\.upstream\.scopes expected openid/,
    ],
  ],
  [
    'an upstream of another kind',
    `${data}identity: { upstream: { kind: ldap } }\n`,
    [/identity\.upstream\.kind expected kind: oidc/],
  ],
  [
    'an unknown key of an upstream',
    `${data}identity: { upstream: { kind: oidc, issuer: "https://u.example", clientID: b } }\n`,
    [/clientId missing/, /clientID unknown key; did you mean clientId/],
  ],
  [
    'scopes without openid',
    `${data}identity: { issuer: "https://i.example", clientId: a, scopes: [email] }\n`,
    [/^2:63 identity\.scopes expected openid/],
  ],
  [
    'default over maximum',
    `${data}sessions: { defaultDuration: 2h, maxDuration: 1h }\n`,
    ['2:30 sessions.defaultDuration expected at most sessions.maxDuration'],
  ],
  ['name of a target', db.replace('db:', 'DB_1:'), [/^3:3 targets\.DB_1 expected a name of at most 63/]],
  [
    'unknown protocol',
    db.replace('postgres', 'mysql'),
    ['4:15 targets.db.protocol expected postgres or ssh'],
  ],
  [
    'no user',
    db.replace('    user: u\n', ''),
    [/^3:3 targets\.db\.user missing: expected the name of a role/],
  ],
  [
    'inline password',
    `${db}    password: hunter2\n`,
    ['8:15 targets.db.password a password does not belong in this file: use env:NAME or file:PATH'],
  ],
  [
    'reference to no variable',
    `${db}    password: "env:NO-NAME"\n`,
    [/^8:15 targets\.db\.password a password does not belong/],
  ],
  [
    'user that looks like a reference',
    db.replace('user: u', 'user: "env:"'),
    ['7:11 targets.db.user expected env:NAME or file:PATH'],
  ],
  [
    'no database',
    db.replace('    database: app\n', ''),
    ['3:3 targets.db.database missing: expected the name of a database'],
  ],
  [
    'databases of a wrong kind',
    `${db}    databases: all\n`,
    ['8:16 targets.db.databases expected a list of names of databases, or any'],
  ],
  [
    'TLS mode',
    `${db}    tls: { mode: require }\n`,
    [/^8:18 targets\.db\.tls\.mode expected verify-full or disable/],
  ],
  [
    'plain text over the network',
    `${db}    tls:\n      mode: disable\n`,
    [/^9:13 targets\.db\.tls\.mode would send credentials/],
  ],
  [
    'false acknowledgement',
    `${db}    tls: { mode: disable, acknowledgePlaintext: no }\n`,
    [/^8:49 targets\.db\.tls\.acknowledgePlaintext expected true/],
  ],
  [
    'half of a client certificate',
    `${db}    tls: { certFile: a }\n`,
    [/^8:22 targets\.db\.tls\.certFile certFile and keyFile go together/],
  ],
  [
    'CA without TLS',
    `${db.replace('db.example.com', '127.0.0.1')}    tls: { mode: disable, caFile: a }\n`,
    [/^8:35 targets\.db\.tls\.caFile has no meaning/],
  ],
  [
    'TLS on a socket',
    `${db.replace('db.example.com', '/run/pg')}    tls: { mode: verify-full }\n`,
    [/^8:18 targets\.db\.tls\.mode a Unix socket has no TLS/],
  ],
  [
    'several at once, in order',
    `${db}    tls: { mode: disable }\n    password: x\nsessions: { drain: 1 }\n`,
    [/^10:20 sessions\.drain/],
  ],
  [
    'several rules at once, in order',
    `${db}    tls: { mode: disable }\n    password: x\n`,
    [/^8:18 targets\.db\.tls\.mode/, /^9:15 targets\.db\.password/],
  ],
];

/** What is masked has to be sealed to somebody, or not kept. */
const keepingNothing = 'evidence: { seal: { discardOriginals: true } }\n';

for (const [name, text, expected] of wrong)
  test(`refused with its place: ${name}`, () => {
    assert.throws(
      () => parse(text.includes('masking:') ? `${text}${keepingNothing}` : text),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.equal(error.code, 'config-invalid');
        const found = error.problems.map(
          ({ line, column, path: where, message }) => `${line}:${column} ${where} ${message}`,
        );
        assert.equal(found.length, expected.length, found.join('\n'));
        for (const [index, pattern] of expected.entries())
          if (typeof pattern === 'string') assert.equal(found[index], pattern);
          else assert.match(found[index]!, pattern);
        assert.ok(
          !error.message.includes('hunter2') && !error.message.includes('u:p@'),
          'no value is repeated',
        );
        return true;
      },
    );
  });

test('allowed: plain text to a target on loopback, on a socket, or acknowledged', () => {
  for (const host of ['127.0.0.1', 'localhost', '"::1"', '127.9.9.9'])
    parse(`${db.replace('db.example.com', host)}    tls: { mode: disable }\n`);
  parse(db.replace('db.example.com', '/run/pg'));
  parse(`${db}    tls: { mode: disable, acknowledgePlaintext: true }\n`);
});

test('allowed: TLS by a proxy', () => {
  const config = parse(
    `${data}publicUrl: https://r.example.com\nlisten: { host: 0.0.0.0 }\nbehindProxy: { trusted: [10.0.0.1] }\n`,
  );
  assert.equal(config.log.origin, 'r.example.com/log');
});

test('loopback is decided by the address, not by its looks', () => {
  for (const host of ['localhost', '127.0.0.1', '127.255.0.1', '::1', '[::1]', '0:0:0:0:0:0:0:1'])
    assert.equal(isLoopback(host), true, host);
  for (const host of [
    '0.0.0.0',
    '::',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '128.0.0.1',
    '',
    '127.1',
  ])
    assert.equal(isLoopback(host), false, host);
});

test('the embedded default writes its files once, for its owner alone, and denies everybody', async (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-config-'));
  const before = process.env['XDG_DATA_HOME'];
  process.env['XDG_DATA_HOME'] = directory;
  context.after(() => {
    if (before === undefined) delete process.env['XDG_DATA_HOME'];
    else process.env['XDG_DATA_HOME'] = before;
    rmSync(directory, { recursive: true });
  });
  const config = await loadConfig(null);
  const relay = path.join(directory, 'hoop/relay');
  assert.equal(config.dataDir, relay);
  assert.equal(config.targets.size, 0);
  assert.equal(statSync(relay).mode & 0o777, 0o700);
  for (const file of ['relay.yaml', 'policy.cedar'])
    assert.equal(statSync(path.join(relay, file)).mode & 0o777, 0o600);

  const file = path.join(relay, 'relay.yaml');
  const uncommented = readFileSync(file, 'utf8')
    .replace('targets: {}', 'targets:')
    .replace(/^# {2}/gm, '  ');
  writeFileSync(file, uncommented);
  assert.deepEqual(
    [...(await loadConfig(null)).targets.keys()],
    ['db-prod'],
    'the example in the comments is right',
  );
  assert.equal(readFileSync(file, 'utf8'), uncommented);
});

test('the embedded default keeps the name of its log when port and publicUrl change', async (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-config-'));
  const before = process.env['XDG_DATA_HOME'];
  process.env['XDG_DATA_HOME'] = directory;
  context.after(() => {
    if (before === undefined) delete process.env['XDG_DATA_HOME'];
    else process.env['XDG_DATA_HOME'] = before;
    rmSync(directory, { recursive: true });
  });
  const { origin } = (await loadConfig(null)).log;
  const file = path.join(directory, 'hoop/relay/relay.yaml');
  const moved = readFileSync(file, 'utf8').replace('port: 7443 }', 'port: 7444 }');
  writeFileSync(file, `${moved}\npublicUrl: http://127.0.0.1:7444\n`);
  const config = await loadConfig(null);
  assert.deepEqual([config.listen.port, config.publicUrl], [7444, 'http://127.0.0.1:7444']);
  assert.equal(config.log.origin, origin);
});

test('a file that is missing, or that everybody may change, is refused', async (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-config-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const [file, policy] = [path.join(directory, 'relay.yaml'), path.join(directory, 'p.cedar')];
  await assert.rejects(loadConfig(file), { code: 'config-unreadable' });
  writeFileSync(file, 'dataDir: .\npolicies: [p.cedar]\n');
  writeFileSync(policy, '');
  assert.equal((await loadConfig(file)).dataDir, directory);
  chmodSync(policy, 0o666);
  await assert.rejects(loadConfig(file), { code: 'config-exposed' });
  chmodSync(policy, 0o644);
  chmodSync(file, 0o646);
  await assert.rejects(loadConfig(file), { code: 'config-exposed' });
});

test('whom masked values are sealed to: age recipients, or nobody by decision, once something is masked', () => {
  const rules = 'masking:\n  rules:\n    - { name: cards, detect: [card], mode: redact }\n';
  const base = 'dataDir: /var/lib/hoop\n';
  const recipient = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';
  const sealed = parse(`${base}evidence: { seal: { recipients: [${recipient}] } }\n${rules}`).evidence
    .originals;
  assert.deepEqual(Array.isArray(sealed) && sealed.map(({ text }: { text: string }) => text), [recipient]);
  const discarded = parse(`${base}evidence: { seal: { discardOriginals: true } }\n${rules}`);
  assert.equal(discarded.evidence.originals, 'discard');
  const problem = (text: string): string => {
    try {
      parse(`${base}${text}`);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.problems.map(({ path: where, message }) => `${where}: ${message}`).join('\n');
    }
    return '';
  };
  assert.match(problem(rules), /^masking\.rules: .*evidence\.seal\.recipients/);
  assert.match(
    problem(`evidence: { seal: { recipients: [${recipient.slice(0, -1)}q] } }`),
    /expected an age recipient/,
  );
  assert.match(
    problem(`evidence: { seal: { recipients: [${recipient}], discardOriginals: true } }`),
    /not both/,
  );
});
