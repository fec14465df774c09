/**
 * The shape of `relay.yaml`. Every key is known or refused; every value is checked here or in `rules.ts`. What a key
 * means stands in docs/configuration.md, and a test compares both.
 */
import { z } from 'zod';
import { maskModes } from '../../masking/modes.ts';
import { parsePattern, type Pattern } from '../../identity/pattern.ts';
import { ArchiveFile } from './archive.ts';
import { RetentionFile } from './retention.ts';
import { StreamFile } from './streams.ts';
import { LogFile } from './log-schema.ts';
import {
  closed,
  durationMs,
  file,
  groupName,
  groupsMap,
  isIssuer,
  issuerUrl,
  network,
  oneOf,
  parsed,
  port,
  recipient,
  sizeBytes,
  targetName,
  text,
  threshold,
  url,
} from './shapes.ts';
import { target } from './target-schema.ts';
import { upstreamSchema } from './upstream.ts';

const webhook = closed({
  url: text('an https URL, or env:NAME or file:PATH', 4096),
  secret: text('env:NAME or file:PATH', 4096).optional(),
  format: oneOf('json', 'slack').default('json'),
  groups: z.array(groupName).default([]),
  includeText: z.boolean({ error: 'expected true or false' }).default(false),
});

const ruleName = parsed(
  (name) => (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name) ? name : null),
  'a name of at most 63 of a–z, 0–9 and -, beginning with a letter or digit',
);
/** What stands in every text format of every protocol without an escape. */
const fixedValue = parsed(
  (value) => (/^[A-Za-z0-9_.*#-]([A-Za-z0-9 _.*#-]{0,62}[A-Za-z0-9_.*#-])?$/.test(value) ? value : null),
  'at most 64 letters, digits, blanks and _ . * # -',
);

const maskingDetector = closed({
  name: ruleName,
  pattern: text('a pattern', 1000).optional(),
  words: z
    .array(text('a word', 256))
    .min(1, 'expected at least one word')
    .max(10_000, 'expected at most 10,000 words')
    .optional(),
});

const maskingRule = closed({
  name: ruleName,
  targets: z.array(targetName).default([]),
  targetGroups: z.array(groupName).default([]),
  detect: z.array(text('the name of a detector', 64)).default([]),
  columns: z.array(text('schema.table.column, where * stands for anything', 512)).default([]),
  outputs: z.array(text('the name of an output column', 128)).default([]),
  mode: oneOf(...maskModes).default('redact'),
  value: fixedValue.optional(),
  exempt: closed({ groups: z.array(groupName).min(1, 'expected at least one group') }).optional(),
});

const pattern = parsed<Pattern>(
  parsePattern,
  'a pattern: * stands for anything but : and /, ** for anything, as a whole part between them',
);
const claimName = text(
  "a claim's name, or the path of one inside another, such as /kubernetes.io/namespace",
  256,
);
const claimValue = z
  .union([z.string(), z.boolean(), z.number()], { error: 'expected a value, or a list of values' })
  .transform((value) => String(value))
  .pipe(pattern);

const machine = closed({
  name: ruleName,
  issuer: parsed(
    (value) => (isIssuer(value) ? value : null),
    'the https URL that the tokens have as "iss", letter by letter',
  ),
  audience: text('the "aud" of the tokens').optional(),
  kind: oneOf('service', 'agent').default('service'),
  subject: pattern.optional(),
  actor: pattern.optional(),
  conditions: z
    .record(
      claimName,
      z
        .union([claimValue, z.array(claimValue).min(1, 'expected at least one value')])
        .transform((value) => [value].flat()),
    )
    .default({}),
  groups: z.array(groupName).min(1, 'expected at least one group'),
  lifetime: durationMs('1m', '1h').prefault('1h'),
});

/** `relay.yaml` before paths are resolved and rules across keys are checked. */
export const RelayFile = closed({
  listen: closed({
    host: text('an address or host name', 253).default('127.0.0.1'),
    port: port.default(7443),
  }).prefault({}),
  publicUrl: url('an http or https URL without query', ['https:', 'http:']).optional(),
  tls: closed({ certFile: file, keyFile: file }).optional(),
  behindProxy: closed({
    trusted: z.array(network).min(1, 'expected at least one address or network'),
  }).optional(),
  dataDir: file,
  keys: closed({ directory: file.optional() }).prefault({}),
  log: LogFile.prefault({}),
  logging: closed({ level: oneOf('debug', 'info', 'warn', 'error').default('info') }).prefault({}),
  metrics: closed({ allow: z.array(network).default(['127.0.0.0/8', '::1']) }).prefault({}),
  evidence: closed({
    directory: file.optional(),
    durability: oneOf('process', 'disk').default('process'),
    syncTimeout: durationMs('1s', '5m').prefault('10s'),
    backlog: sizeBytes('1MiB', '64GiB').prefault('256MiB'),
    space: closed({
      warn: threshold.prefault('10%'),
      critical: threshold.prefault('5%'),
      reserve: sizeBytes('16MiB', '64GiB').prefault('64MiB'),
    }).prefault({}),
    seal: closed({
      recipients: z.array(recipient).max(16, 'expected at most 16 recipients').default([]),
      discardOriginals: z.literal(true, { error: 'expected true, or leave it out' }).optional(),
    }).prefault({}),
    archive: ArchiveFile.optional(),
    retention: RetentionFile.prefault({}),
    streams: z.array(StreamFile).max(20, 'expected at most 20').default([]),
  }).prefault({}),
  state: closed({
    sqlite: file.optional(),
    postgres: text('env:NAME or file:PATH', 4096).optional(),
  }).prefault({}),
  identity: closed({
    issuer: z
      .union([z.literal('embedded'), issuerUrl('an https URL')], {
        error: 'expected embedded, or the https URL of an OpenID provider',
      })
      .default('embedded'),
    clientId: text('the client id that the provider gave').optional(),
    clientSecret: text('env:NAME or file:PATH', 4096).optional(),
    scopes: z.array(text('a scope', 256)).min(1, 'expected at least one scope').optional(),
    groupsClaim: text('the name of a claim', 256).optional(),
    machines: z.array(machine).max(500, 'expected at most 500').default([]),
    groupsMap: groupsMap.optional(),
    clockSkew: durationMs('0s', '5m').optional(),
    upstream: upstreamSchema.optional(),
  }).prefault({}),
  tokens: closed({
    lifetime: durationMs('10s', '1h').prefault('15m'),
    signInLifetime: durationMs('10m', '30d').prefault('12h'),
  }).prefault({}),
  sessions: closed({
    defaultDuration: durationMs('1s', '7d').prefault('8h'),
    maxDuration: durationMs('1s', '7d').prefault('12h'),
    detached: durationMs('1s', '1h').prefault('1m'),
    drain: durationMs('0s', '1h').prefault('30s'),
  }).prefault({}),
  reviews: closed({
    expiresAfter: durationMs('10s', '7d').prefault('15m'),
    webhooks: z.array(webhook).max(20, 'expected at most 20').default([]),
  }).prefault({}),
  masking: closed({
    detectors: z.array(maskingDetector).default([]),
    rules: z.array(maskingRule).default([]),
    exemptColumns: z.array(text('schema.table.column, where * stands for anything', 512)).default([]),
  }).prefault({}),
  limits: closed({ statement: sizeBytes('64KiB', '512MiB').prefault('64MiB') }).prefault({}),
  policies: z.array(file).default([]),
  targets: z.record(targetName, target).default({}),
});
export type RelayFile = z.output<typeof RelayFile>;
