/** Shapes of single values in `relay.yaml`, each with the sentence that says what was expected. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseRecipient } from '../../evidence/recording/age.ts';
import type { Threshold } from '../space/measure.ts';
import { isTargetName, type TargetName } from '../../model/ids.ts';
import { nearest } from './nearest.ts';
import { parseDurationMs, parseSizeBytes } from './units.ts';

/** An object that refuses unknown keys, one line of message a key, in the order of the issue's `keys`. */
export function closed<Shape extends z.ZodRawShape>(shape: Shape) {
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

export function parsed<Value>(parse: (text: string) => Value | null, expected: string) {
  return z.string({ error: `expected ${expected}` }).transform((text, context) => {
    const value = parse(text);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
}

export const durationMs = (least: string, most: string) =>
  parsed((text) => {
    const value = parseDurationMs(text);
    return value !== null && value >= parseDurationMs(least)! && value <= parseDurationMs(most)!
      ? value
      : null;
  }, `a duration from ${least} to ${most}, such as 90s, 1h30m or 8h`);

export const sizeBytes = (least: string, most: string) =>
  parsed((text) => {
    const value = parseSizeBytes(text);
    return value !== null && value >= parseSizeBytes(least)! && value <= parseSizeBytes(most)! ? value : null;
  }, `a size from ${least} to ${most}, such as 512KiB or 64MiB`);

/** Of free space: a share of the file system, or a size. */
export const threshold = parsed<Threshold>((text) => {
  const percent = /^(\d{1,2})%$/.exec(text)?.[1];
  if (percent !== undefined) return { percent: Number(percent) };
  const bytes = parseSizeBytes(text);
  return bytes === null ? null : { bytes };
}, 'a share such as 10%, or a size such as 20GiB');

export const text = (expected: string, most = 1024) =>
  parsed(
    (value) => (value !== '' && value.length <= most && !/\p{Cc}/u.test(value) ? value : null),
    expected,
  );

export const file = text('a path', 4096);
const isPlainUrl = (value: string, protocols: readonly string[]): boolean => {
  const parsedUrl = URL.parse(value);
  return (
    parsedUrl !== null &&
    protocols.includes(parsedUrl.protocol) &&
    parsedUrl.username === '' &&
    parsedUrl.password === '' &&
    parsedUrl.search === '' &&
    parsedUrl.hash === ''
  );
};
export const url = (expected: string, protocols: readonly string[]) =>
  parsed((value) => (isPlainUrl(value, protocols) ? value.replace(/\/+$/, '') : null), expected);
/** As written, with its last slash if it has one: it is compared with `iss` letter by letter. */
export const issuerUrl = (expected: string) =>
  parsed((value) => (isPlainUrl(value, ['https:', 'http:']) ? value : null), expected);

/** A key of `groupsMap`: who is meant. Addresses are compared in lower case. */
export const whoIsMeant = parsed((value) => {
  if (/^sub:[^\p{Cc}]{1,255}$/u.test(value)) return value;
  return /^[^@\s\p{Cc}]*@[^@\s\p{Cc}]+$/u.test(value) && value.length <= 254 ? value.toLowerCase() : null;
}, 'an address such as ana@example.com, a domain such as "@example.com", or "sub:…"');

/** A URL without user, query and fragment; a slash at its end counts. */
export function isIssuer(value: string): boolean {
  const parsedUrl = URL.parse(value);
  return (
    parsedUrl !== null &&
    /^https?:$/.test(parsedUrl.protocol) &&
    parsedUrl.username + parsedUrl.password + parsedUrl.search + parsedUrl.hash === '' &&
    !/[?#\s]/.test(value)
  );
}

/** An address or a network in CIDR notation. */
export const network = parsed((value) => {
  const [address = '', prefix, rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest !== undefined) return null;
  if (prefix === undefined) return value;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128) ? value : null;
}, 'an IP address or a network such as 10.0.0.0/8');

export const recipient = parsed(parseRecipient, 'an age recipient, age1…, as hoop audit keygen makes one');

export const groupName = text('the name of a group', 256);
export const port = z
  .int({ error: 'expected a port from 1 to 65535' })
  .min(1, 'expected a port from 1 to 65535')
  .max(65_535, 'expected a port from 1 to 65535');
export const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, {
    error: (issue) => {
      const meant = typeof issue.input === 'string' ? nearest(issue.input, values) : null;
      return `expected ${values.join(' or ')}${meant === null ? '' : `; did you mean ${meant}?`}`;
    },
  });

/** Groups by who somebody is; of people whose provider has none. */
export const groupsMap = z.record(
  whoIsMeant,
  z.array(groupName).min(1, 'expected at least one group').max(100, 'expected at most 100 groups'),
);

export const targetName = parsed<TargetName>(
  (name) => (isTargetName(name) ? name : null),
  'a name of at most 63 of a–z, 0–9 and -, beginning with a letter or digit',
);
