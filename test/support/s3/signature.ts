/**
 * Signature Version 4 in the Authorization header, as a server checks it. Written from the specification and independent of
 * hoop's own signer, so that the two have to agree:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 *
 * Path and query are decoded and encoded again: what a client encodes in another way than the specification says does not match.
 * Stricter than S3: `content-type` and `content-md5` have to be signed, too, and so has every `x-amz-*` header.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { S3Error } from './error.ts';
import type { S3Request } from './request.ts';

export interface S3Credentials {
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const scheme = 'AWS4-HMAC-SHA256';
const skewMs = 15 * 60_000;
const unsignedPayload = 'UNSIGNED-PAYLOAD';

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/** All but A-Z a-z 0-9 - . _ ~ as %XX in capitals. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function canonicalQuery(query: URLSearchParams): string {
  return [...query]
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .toSorted(([a, x], [b, y]) => byBytes(a, b) || byBytes(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function canonicalRequest(request: S3Request, signed: readonly string[], payload: string): string {
  return [
    request.method,
    request.path.split('/').map(uriEncode).join('/'),
    canonicalQuery(request.query),
    ...signed.map((name) => `${name}:${(request.headers.get(name) ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    signed.join(';'),
    payload,
  ].join('\n');
}

function expectedSignature(
  secret: string,
  scope: readonly string[],
  timestamp: string,
  canonical: string,
): Buffer {
  const key = scope.reduce<string | Buffer>((previous, part) => hmac(previous, part), `AWS4${secret}`);
  return hmac(key, [scheme, timestamp, scope.join('/'), sha256(canonical)].join('\n'));
}

function parseAuthorization(header: string | undefined) {
  if (header === undefined) throw new S3Error('AccessDenied', 'Access Denied');
  if (!header.startsWith(`${scheme} `)) {
    const message = `The authorization mechanism you have provided is not supported. Please use ${scheme}.`;
    throw new S3Error('InvalidRequest', message);
  }
  const match =
    /^Credential=([^,/ ]+)\/(\d{8})\/([^,/ ]+)\/([^,/ ]+)\/([^,/ ]+), ?SignedHeaders=([a-z\d;-]+), ?Signature=([\da-f]{64})$/.exec(
      header.slice(scheme.length + 1),
    );
  if (match === null) malformed('The authorization header is malformed.');
  const [, accessKeyId = '', date = '', region = '', service = '', end = '', signed = '', signature = ''] =
    match;
  return { accessKeyId, scope: [date, region, service, end], signed: signed.split(';'), signature };
}

function malformed(message: string): never {
  throw new S3Error('AuthorizationHeaderMalformed', message);
}

function checkTimestamp(timestamp: string | undefined, nowMs: number): string {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp ?? '');
  if (timestamp === undefined || match === null)
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  const atMs = Date.UTC(year!, month! - 1, day, hour, minute, second);
  if (Math.abs(nowMs - atMs) > skewMs) {
    const message = 'The difference between the request time and the current time is too large.';
    throw new S3Error('RequestTimeTooSkewed', message);
  }
  return timestamp;
}

function checkToken(given: string | undefined, expected: string | undefined): void {
  if (given === undefined && expected === undefined) return;
  if (given === undefined) {
    const message = 'The AWS Access Key Id you provided does not exist in our records.';
    throw new S3Error('InvalidAccessKeyId', message);
  }
  if (expected === undefined || !equal(given, expected))
    throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
}

/** In constant time, whatever their lengths. */
const equal = (a: string, b: string): boolean =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());

function checkSignedHeaders(request: S3Request, signed: readonly string[]): void {
  if (signed.join(';') !== [...new Set(signed)].toSorted().join(';'))
    malformed('SignedHeaders is not sorted.');
  const needed = [...request.headers.keys()].filter(
    (name) =>
      name === 'host' || name === 'content-type' || name === 'content-md5' || name.startsWith('x-amz-'),
  );
  const unsigned = ['host', ...needed].filter((name) => !signed.includes(name));
  if (unsigned.length > 0)
    throw new S3Error('AccessDenied', `There were headers present that were not signed: ${unsigned.join()}`);
}

/** @throws {S3Error} when the request is not signed by the one account that there is, now, for exactly what was received */
export function verifySignature(request: S3Request, credentials: S3Credentials, nowMs: number): void {
  const { accessKeyId, scope, signed, signature } = parseAuthorization(request.headers.get('authorization'));
  const [date, region, service, end] = scope;
  if (service !== 's3' || end !== 'aws4_request') malformed('The credential scope is not of s3.');
  if (region !== credentials.region)
    malformed(`The region '${region}' is wrong; expecting '${credentials.region}'`);
  if (!equal(accessKeyId, credentials.accessKeyId)) {
    const message = 'The AWS Access Key Id you provided does not exist in our records.';
    throw new S3Error('InvalidAccessKeyId', message);
  }
  const timestamp = checkTimestamp(request.headers.get('x-amz-date'), nowMs);
  if (!timestamp.startsWith(`${date}T`))
    malformed('The date of the credential scope is not that of the request.');
  checkToken(request.headers.get('x-amz-security-token'), credentials.sessionToken);
  checkSignedHeaders(request, signed);
  const payload = request.headers.get('x-amz-content-sha256');
  if (payload === undefined) {
    const message = 'Missing required header for this request: x-amz-content-sha256';
    throw new S3Error('InvalidRequest', message);
  }
  if (payload.startsWith('STREAMING-'))
    throw new S3Error('NotImplemented', 'Chunked signatures are not implemented.');
  if (payload !== unsignedPayload && !/^[\da-f]{64}$/.test(payload)) {
    const message = `x-amz-content-sha256 must be ${unsignedPayload} or a valid sha256 value.`;
    throw new S3Error('InvalidArgument', message);
  }
  const canonical = canonicalRequest(request, signed, payload);
  const expected = expectedSignature(credentials.secretAccessKey, scope, timestamp, canonical);
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) {
    const message =
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.';
    throw new S3Error('SignatureDoesNotMatch', message);
  }
  if (payload !== unsignedPayload && payload !== sha256(request.body)) {
    const message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    throw new S3Error('XAmzContentSHA256Mismatch', message);
  }
}
