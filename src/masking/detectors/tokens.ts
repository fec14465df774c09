/**
 * Credentials of clouds, forges and services that carry their issuer's prefix. Each is found by three bytes of the
 * prefix, its mark.
 */
import { classes, dash, digit, latin, letter, matchesExactly, wordBefore } from './bytes.ts';
import type { Match } from './match.ts';

/** What may follow a prefix. */
const alphabets = {
  word: digit | letter,
  url: digit | letter | dash,
} as const;

interface TokenForm {
  readonly prefix: string;
  /** Three bytes of the prefix. */
  readonly mark: string;
  readonly alphabet: keyof typeof alphabets;
  /** Bytes behind the prefix; `most` absent: as many as there are. */
  readonly least: number;
  readonly most?: number;
  /** Other bytes that may follow (`.`). */
  readonly also?: string;
}

const forms: readonly TokenForm[] = [
  // Amazon Web Services: access key ids
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((prefix) => word(prefix, prefix.slice(0, 3), 16, 16)),
  // Google: API keys, OAuth access tokens, client secrets
  url('AIza', 'AIz', 35, 35),
  { ...url('ya29.', '29.', 20), also: '.' },
  url('GOCSPX-', 'GOC', 20),
  // GitHub
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => word(prefix, prefix.slice(1), 36)),
  url('github_pat_', 'at_', 50),
  // GitLab
  ...['glpat-', 'glrt-', 'gldt-', 'glptt-', 'glcbt-'].map((prefix) => url(prefix, prefix.slice(-3), 20)),
  // Slack
  ...['a', 'b', 'e', 'o', 'p', 'r', 's'].map((letter) => url(`xox${letter}-`, 'xox', 10)),
  { ...url('xapp-', 'xap', 20) },
  { ...url('hooks.slack.com/services/T', 'k.c', 20), also: '/' },
  // Stripe
  ...['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_'].map((prefix) => word(prefix, prefix.slice(0, 3), 16)),
  word('whsec_', 'ec_', 24),
  // model providers
  url('sk-ant-', 'sk-', 20),
  url('sk-proj-', 'sk-', 20),
  word('sk-', 'sk-', 32),
  word('hf_', 'hf_', 30),
  // package registries
  word('npm_', 'pm_', 36),
  url('pypi-', 'pi-', 50),
  url('dckr_pat_', 'at_', 20),
  // others
  ...['dop_v1_', 'doo_v1_', 'dor_v1_'].map((prefix) => word(prefix, prefix.slice(1, 4), 40)),
  ...['shpat_', 'shpca_', 'shppa_', 'shpss_'].map((prefix) => word(prefix, prefix.slice(-3), 32)),
  { ...url('hvs.', 'vs.', 24) },
  { ...url('SG.', 'SG.', 40), also: '.' },
  url('glsa_', 'sa_', 30),
  word('AGE-SECRET-KEY-1', 'AGE', 40),
  url('ATATT3', 'ATA', 40),
];

function word(prefix: string, mark: string, least: number, most?: number): TokenForm {
  return { prefix, mark, alphabet: 'word', least, ...(most === undefined ? {} : { most }) };
}

function url(prefix: string, mark: string, least: number, most?: number): TokenForm {
  return { prefix, mark, alphabet: 'url', least, ...(most === undefined ? {} : { most }) };
}

interface TokenTest {
  readonly prefix: Uint8Array;
  readonly offset: number;
  readonly flags: number;
  readonly least: number;
  readonly most: number;
  /** Byte, or -1. */
  readonly also: number;
}

const byMark = new Map<number, TokenTest[]>();
for (const form of forms) {
  const test: TokenTest = {
    prefix: latin(form.prefix),
    offset: form.prefix.lastIndexOf(form.mark),
    flags: alphabets[form.alphabet],
    least: form.least,
    most: form.most ?? Infinity,
    also: form.also?.charCodeAt(0) ?? -1,
  };
  const key = markKey(latin(form.mark), 0);
  byMark.set(key, [...(byMark.get(key) ?? []), test]);
}

/** Marks of all prefixes, three bytes each. */
export const tokenMarks: readonly string[] = [...new Set(forms.map(({ mark }) => mark))];

function markKey(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** A token one of whose prefix's marks stands at `at`. */
export function confirmToken(
  bytes: Uint8Array,
  at: number,
  start: number,
  end: number,
  match: Match,
): boolean {
  if (at + 3 > end) return false;
  const tests = byMark.get(markKey(bytes, at));
  if (tests === undefined) return false;
  for (const test of tests) {
    const first = at - test.offset;
    if (first < start || !matchesExactly(bytes, first, end, test.prefix)) continue;
    if (wordBefore(bytes, first, start)) continue;
    const from = first + test.prefix.length;
    const after = tokenEnd(bytes, from, end, test);
    const length = after - from;
    if (length < test.least || length > test.most || !mixed(bytes, from, after, test.least)) continue;
    match.start = first;
    match.end = after;
    return true;
  }
  return false;
}

function tokenEnd(bytes: Uint8Array, from: number, end: number, { flags, also }: TokenTest): number {
  let next = from;
  while (next < end && ((classes[bytes[next]!]! & flags) !== 0 || bytes[next] === also)) next++;
  while (next > from && bytes[next - 1] === also) next--; // the end of a sentence
  return next;
}

/** Long random text has digits and letters; names in code often do not. */
function mixed(bytes: Uint8Array, from: number, end: number, least: number): boolean {
  let seen = 0;
  const most = Math.min(end, from + Math.max(least, 64));
  for (let place = from; place < most && (seen & 3) !== 3; place++) seen |= classes[bytes[place]!]! & 3;
  return (seen & 3) === 3;
}

/** First bytes of prefixes. */
const initials = new Uint8Array(256);
for (const { prefix } of forms) initials[prefix.charCodeAt(0)] = 1;
const tests = [...byMark.values()].flat();

/** From `at` on: where a token may begin that goes on behind `end`; `end` when none does. `start`: of the text. */
export function tokenTail(bytes: Uint8Array, start: number, at: number, end: number): number {
  for (let first = tokenRun(bytes, at, end); first < end; first++) {
    if (initials[bytes[first]!] === 0 || wordBefore(bytes, first, start)) continue;
    for (const test of tests) if (tokenGoesOn(bytes, first, end, test)) return first;
  }
  return end;
}

/** Where the bytes before `end` begin that may all stand in one token. */
export function tokenRun(bytes: Uint8Array, at: number, end: number): number {
  let first = end;
  while (first > at) {
    const byte = bytes[first - 1]!;
    if ((classes[byte]! & alphabets.url) === 0 && byte !== 0x2e && byte !== 0x2f) break;
    first--;
  }
  return first;
}

function tokenGoesOn(bytes: Uint8Array, at: number, end: number, test: TokenTest): boolean {
  const { prefix, flags, also, most } = test;
  const from = at + prefix.length;
  for (let next = at; next < Math.min(from, end); next++) if (bytes[next] !== prefix[next - at]) return false;
  for (let next = from; next < end; next++)
    if ((classes[bytes[next]!]! & flags) === 0 && bytes[next] !== also) return false;
  return end - from <= most;
}
