/**
 * The shape of `relay.yaml`. Every key is known or refused; every value is checked here or in `rules.ts`. What a key
 * means stands in docs/configuration.md, and a test compares both.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { maskModes } from '../../masking/modes.ts';
import { parseRecipient } from '../../evidence/recording/age.ts';
import { isTargetName } from '../../model/ids.ts';
import type { TargetName } from '../../model/ids.ts';
import { nearest } from './nearest.ts';
import { parseDurationMs, parseSizeBytes } from './units.ts';

/** An object that refuses unknown keys, one line of message a key, in the order of the issue's `keys`. */
function closed<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return 'expected a mapping';
      return issue.keys
        .map((key) => {
          const meant = nearest(key, known);
          return `unknown key; ${meant === null ? `known are ${known.join(', ')}` : `did you mean ${meant}?`}`;
        })
        .join('\n');
    },
  });
}

function parsed<Value>(parse: (text: string) => Value | null, expected: string) {
  return z.string({ error: `expected ${expected}` }).transform((text, context) => {
    const value = parse(text);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
}

const durationMs = (least: string, most: string) =>
  parsed((text) => {
    const value = parseDurationMs(text);
    return value !== null && value >= parseDurationMs(least)! && value <= parseDurationMs(most)!
      ? value
      : null;
  }, `a duration from ${least} to ${most}, such as 90s, 1h30m or 8h`);

const sizeBytes = (least: string, most: string) =>
  parsed((text) => {
    const value = parseSizeBytes(text);
    return value !== null && value >= parseSizeBytes(least)! && value <= parseSizeBytes(most)! ? value : null;
  }, `a size from ${least} to ${most}, such as 512KiB or 64MiB`);

const text = (expected: string, most = 1024) =>
  parsed(
    (value) => (value !== '' && value.length <= most && !/\p{Cc}/u.test(value) ? value : null),
    expected,
  );

const file = text('a path', 4096);
const url = (expected: string, protocols: readonly string[]) =>
  parsed((value) => {
    const parsedUrl = URL.parse(value);
    return parsedUrl !== null &&
      protocols.includes(parsedUrl.protocol) &&
      parsedUrl.username === '' &&
      parsedUrl.password === '' &&
      parsedUrl.search === '' &&
      parsedUrl.hash === ''
      ? value.replace(/\/+$/, '')
      : null;
  }, expected);

/** An address or a network in CIDR notation. */
const network = parsed((value) => {
  const [address = '', prefix, rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest !== undefined) return null;
  if (prefix === undefined) return value;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128) ? value : null;
}, 'an IP address or a network such as 10.0.0.0/8');

const recipient = parsed(parseRecipient, 'an age recipient, age1…, as hoop audit keygen makes one');

const groupName = text('the name of a group', 256);
const port = z
  .int({ error: 'expected a port from 1 to 65535' })
  .min(1, 'expected a port from 1 to 65535')
  .max(65_535, 'expected a port from 1 to 65535');
const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, {
    error: (issue) => {
      const meant = typeof issue.input === 'string' ? nearest(issue.input, values) : null;
      return `expected ${values.join(' or ')}${meant === null ? '' : `; did you mean ${meant}?`}`;
    },
  });

const targetTls = closed({
  mode: oneOf('verify-full', 'disable').optional(),
  acknowledgePlaintext: z.literal(true, { error: 'expected true, or leave it out' }).optional(),
  caFile: file.optional(),
  certFile: file.optional(),
  keyFile: file.optional(),
  serverName: text('a host name', 253).optional(),
});

const target = closed({
  protocol: oneOf('postgres'),
  description: text('one line of text').optional(),
  groups: z.array(groupName).default([]),
  host: text('a host name, an address, or the absolute path of a socket directory'),
  port: port.default(5432),
  database: text('the name of a database', 63),
  databases: z
    .union([z.literal('any'), z.array(text('the name of a database', 63))], {
      error: 'expected a list of names of databases, or any',
    })
    .default([]),
  user: text('the name of a role, or env:NAME or file:PATH', 4096),
  password: text('env:NAME or file:PATH', 4096).optional(),
  tls: targetTls.prefault({}),
});

const webhook = closed({
  url: text('an https URL, or env:NAME or file:PATH', 4096),
  secret: text('env:NAME or file:PATH', 4096).optional(),
  format: oneOf('json', 'slack').default('json'),
  groups: z.array(groupName).default([]),
  includeText: z.boolean({ error: 'expected true or false' }).default(false),
});

const targetName = parsed<TargetName>(
  (name) => (isTargetName(name) ? name : null),
  'a name of at most 63 of a–z, 0–9 and -, beginning with a letter or digit',
);

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
  log: closed({
    origin: parsed(
      (value) => (/^[A-Za-z0-9.:-]+(\/[A-Za-z0-9._~-]+)*$/.test(value) && value.length <= 255 ? value : null),
      "the log's name: host and path without scheme, such as relay.example.com/log",
    ).optional(),
    keyFile: file.optional(),
  }).prefault({}),
  logging: closed({ level: oneOf('debug', 'info', 'warn', 'error').default('info') }).prefault({}),
  metrics: closed({ allow: z.array(network).default(['127.0.0.0/8', '::1']) }).prefault({}),
  evidence: closed({
    directory: file.optional(),
    durability: oneOf('process', 'disk').default('process'),
    syncTimeout: durationMs('1s', '5m').prefault('10s'),
    backlog: sizeBytes('1MiB', '64GiB').prefault('256MiB'),
    seal: closed({
      recipients: z.array(recipient).max(16, 'expected at most 16 recipients').default([]),
      discardOriginals: z.literal(true, { error: 'expected true, or leave it out' }).optional(),
    }).prefault({}),
  }).prefault({}),
  state: closed({
    sqlite: file.optional(),
    postgres: text('env:NAME or file:PATH', 4096).optional(),
  }).prefault({}),
  identity: closed({
    issuer: z
      .union([z.literal('embedded'), url('an https URL', ['https:', 'http:'])], {
        error: 'expected embedded, or the https URL of an OpenID provider',
      })
      .default('embedded'),
    clientId: text('the client id that the provider gave').optional(),
    scopes: z.array(text('a scope', 256)).min(1, 'expected at least one scope').optional(),
    groupsClaim: text('the name of a claim', 256).optional(),
  }).prefault({}),
  tokens: closed({
    lifetime: durationMs('1m', '1h').prefault('15m'),
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
