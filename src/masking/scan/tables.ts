/** Which anchors the chosen detectors need: the marks of each, sorted into the eight buckets of `simd.ts`. */
import { detectorId } from '../detectors/catalog.ts';
import type { DetectorName } from '../detectors/catalog.ts';
import { secretMarks } from '../detectors/secrets.ts';
import { tokenMarks } from '../detectors/tokens.ts';
import { lookUpTables } from './simd.ts';
import type { AnchorTables, Bucket } from './simd.ts';

const digits = '0123456789';

/** @param rules by detector; -1: not wanted */
export function anchorTables(rules: Int32Array): AnchorTables {
  const wants = (...names: readonly DetectorName[]): boolean =>
    names.some((name) => rules[detectorId[name]] !== -1);
  const tokens = wants('token') ? tokenMarks : [];
  const upper = tokens.filter((mark) => /[A-Z]$/.test(mark));
  const ended = tokens.filter((mark) => /[-.]$/.test(mark));
  const joined = tokens.filter((mark) => mark.endsWith('_'));
  const rest = tokens.filter((mark) => ![...upper, ...ended, ...joined].includes(mark));
  const words = wants('secret', 'parameter-password') ? secretMarks : [];
  const wordBuckets = [words.slice(0, 2), words.slice(2)].map((some) => bucketOf(some.flatMap(bothCases)));
  const signs = [...(wants('private-key') ? ['---'] : []), ...(wants('url-password') ? ['://'] : [])];
  const buckets: (Bucket | null)[] = [
    bucketOf(signs),
    wants('phone') ? ['+(', digits.slice(1), null] : null,
    bucketOf(wants('jwt') ? ['eyJ', ...upper] : upper),
    bucketOf(rest),
    bucketOf(ended),
    bucketOf(joined),
    ...wordBuckets,
  ];
  const used = buckets.filter((bucket) => bucket !== null);
  return {
    lookUp: lookUpTables(used),
    marks: used.length > 0,
    numbers: wants(...numberDetectors),
    words: wants('iban', 'uk-nino', 'es-dni', 'it-codice-fiscale'),
    colons: wants('ipv6'),
    mails: wants('email'),
    cards: wants('card'),
    ssns: wants('us-ssn'),
  };
}

const numberDetectors: readonly DetectorName[] = [
  'card',
  'us-ssn',
  'uk-nhs',
  'de-steuer-id',
  'fr-nir',
  'es-dni',
  'nl-bsn',
  'pl-pesel',
  'se-personnummer',
  'br-cpf',
  'in-aadhaar',
  'ipv4',
  'phone',
];

const bothCases = (mark: string): string[] => [mark, mark.toUpperCase()];

function bucketOf(marks: readonly string[]): Bucket | null {
  const at = (index: number): string => marks.map((mark) => mark[index]!).join('');
  return marks.length === 0 ? null : [at(0), at(1), at(2)];
}
