/**
 * The end of what is here of a text: from where on something may begin that is not over, or that is told by what follows.
 * All before it is decided, so that a prompt, a blank or a word that no detector asks for is delivered at once. Only
 * detectors that have a rule hold anything back.
 */
import type { CustomScan } from '../custom/custom.ts';
import { detectorId } from '../detectors/catalog.ts';
import type { DetectorName } from '../detectors/catalog.ts';
import { jwtTail } from '../detectors/jwt.ts';
import { headerTail } from '../detectors/private-key.ts';
import { secretTail } from '../detectors/secrets.ts';
import { tokenTail } from '../detectors/tokens.ts';
import { isMark } from '../scan/anchors.ts';
import { heldBytes, type TextTail } from '../live.ts';
import { idTail, ipv6Tail, mailTail, numberTail, urlPasswordTail } from './values.ts';

type FindTail = (bytes: Uint8Array, start: number, least: number, end: number) => number;

/** The tail of a session's detectors. @param rules as `Scanner` has them */
export function tailOf(rules: Int32Array, custom: readonly CustomScan[]): TextTail {
  const finds = findsOf(rules);
  return (bytes, start, end) => {
    const least = Math.max(start, end - heldBytes);
    let first = end;
    for (const find of finds) first = Math.min(first, find(bytes, start, least, end));
    for (const scan of custom) first = Math.min(first, scan.tail(bytes, start, end));
    return first;
  };
}

function findsOf(rules: Int32Array): FindTail[] {
  const wants = (...names: readonly DetectorName[]): boolean =>
    names.some((name) => rules[detectorId[name]] !== -1);
  const finds: FindTail[] = [];
  if (wants(...numbers)) finds.push((bytes, _start, least, end) => numberTail(bytes, least, end));
  if (wants('email')) finds.push((bytes, _start, least, end) => mailTail(bytes, least, end));
  if (wants('ipv6')) finds.push(ipv6Tail);
  if (wants('iban', 'uk-nino', 'es-dni', 'it-codice-fiscale')) finds.push(idTail);
  if (wants('url-password')) finds.push((bytes, _start, least, end) => urlPasswordTail(bytes, least, end));
  if (wants('private-key')) finds.push((bytes, _start, least, end) => headerTail(bytes, least, end));
  if (wants('jwt')) finds.push(jwtTail);
  if (wants('token')) finds.push(tokenTail);
  const parameters = wants('parameter-password');
  if (parameters || wants('secret'))
    finds.push((bytes, start, least, end) => wordTail(bytes, start, least, end, parameters));
  return finds;
}

const numbers: readonly DetectorName[] = [
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

/** Longest value behind a key word that is held whole; of a longer one its beginning has told what it is. */
const valueBytes = 512;
/** A key word, its value and the parameters behind it. */
const parameterBytes = 200;

/** Values behind key words: on the last line, or so near before its end that other parameters may follow. */
function wordTail(bytes: Uint8Array, start: number, least: number, end: number, parameters: boolean): number {
  const bound = Math.max(least, end - valueBytes);
  let line = end;
  while (line > bound && bytes[line - 1]! >= 0x20) line--;
  for (let at = parameters ? Math.max(least, Math.min(line, end - parameterBytes)) : line; at < end; at++) {
    if (initials[bytes[at]!] === 0 || !isMark(bytes, at, end)) continue;
    const value = secretTail(bytes, at, start, end, parameters);
    if (value < end) return value;
  }
  return end;
}

/** First letters of the key words. */
const initials = new Uint8Array(256);
for (const char of 'pstbkPSTBK') initials[char.charCodeAt(0)] = 1;
