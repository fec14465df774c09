/** Names of the built-in detectors, as `detect:` writes them, and of the classes that stand for several. */

/** Order is precedence: of two findings of equal length at one place the earlier detector's counts. */
export const detectorNames = [
  'private-key',
  'jwt',
  'token',
  'url-password',
  'parameter-password',
  'secret',
  'card',
  'iban',
  'us-ssn',
  'uk-nhs',
  'uk-nino',
  'de-steuer-id',
  'fr-nir',
  'es-dni',
  'it-codice-fiscale',
  'nl-bsn',
  'pl-pesel',
  'se-personnummer',
  'br-cpf',
  'in-aadhaar',
  'email',
  'ipv4',
  'ipv6',
  'phone',
] as const;
export type DetectorName = (typeof detectorNames)[number];

/** Index in `detectorNames`. */
export const detectorId = Object.fromEntries(detectorNames.map((name, id) => [name, id])) as Readonly<
  Record<DetectorName, number>
>;

const nationalIds: readonly DetectorName[] = detectorNames.slice(
  detectorNames.indexOf('us-ssn'),
  detectorNames.indexOf('email'),
);

/** Several detectors under one name. */
export const detectorClasses: ReadonlyMap<string, readonly DetectorName[]> = new Map<
  string,
  readonly DetectorName[]
>([
  ['national-id', nationalIds],
  ['ip-address', ['ipv4', 'ipv6']],
  ['connection-password', ['url-password', 'parameter-password']],
  ['secrets', ['private-key', 'jwt', 'token', 'url-password', 'parameter-password', 'secret']],
  ['personal', ['card', 'iban', 'email', 'phone', ...nationalIds]],
]);

/** The detectors that a name in `detect:` means; null for a name that is none. */
export function detectorsOf(name: string): readonly DetectorName[] | null {
  const single = detectorNames.find((each) => each === name);
  return single === undefined ? (detectorClasses.get(name) ?? null) : [single];
}
