/**
 * ErrorResponse and NoticeResponse
 * (https://www.postgresql.org/docs/current/protocol-error-fields.html).
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { ReviewNotice } from '../../../gate/gate.ts';
import type { PeerError } from '../error.ts';
import { cstring, encodeMessage } from './frame.ts';

/** Fields of an error or a notice, by their one-letter code; `fields` keeps the ones that have no name here. */
export interface ErrorFields {
  /** `ERROR`, `FATAL`, `PANIC`, or a notice's `WARNING`, `NOTICE`, …; not localised where the server is ≥ 9.6. */
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Body of an ErrorResponse or NoticeResponse; text from the target, possibly with user data in it.
 * @throws BytesError
 */
export function decodeErrorResponse(body: Buffer): ErrorFields {
  const reader = new BoundedReader(body);
  const fields: Record<string, string> = {};
  for (;;) {
    const code = reader.uint8();
    if (code === 0) break;
    const value = reader.cstring();
    fields[String.fromCharCode(code)] = value;
  }
  reader.finish();
  return {
    severity: fields['V'] ?? fields['S'] ?? '',
    sqlstate: fields['C'] ?? '',
    message: fields['M'] ?? '',
    detail: fields['D'] ?? null,
    hint: fields['H'] ?? null,
    fields,
  };
}

/** Same layout as an ErrorResponse. @throws BytesError */
export const decodeNoticeResponse = decodeErrorResponse;

/** The SQLSTATE alone, without decoding the rest; '' when the message has none. @throws BytesError */
export function sqlstateOf(bytes: Buffer, start: number, end: number): string {
  const reader = new BoundedReader(bytes, start, end);
  let sqlstate = '';
  for (;;) {
    const code = reader.uint8();
    if (code === 0) return sqlstate;
    const value = reader.cstringBytes();
    if (code === 0x43 && value.length === 5) sqlstate = value.toString('latin1');
  }
}

const field = (code: string, text: string): Buffer => cstring(code + text.replaceAll('\0', ''));

/** A whole ErrorResponse message. NULs are taken out of the texts. */
export function encodeErrorResponse(severity: 'ERROR' | 'FATAL', error: PeerError): Buffer {
  const parts = [
    field('S', severity),
    field('V', severity),
    field('C', error.sqlstate),
    field('M', error.message),
  ];
  const policies = error.policies ?? [];
  if (policies.length > 0) parts.push(field('D', `Policy: ${policies.join(', ')}`));
  if (error.hint !== null) parts.push(field('H', error.hint));
  parts.push(Buffer.alloc(1));
  return encodeMessage('E', ...parts);
}

/**
 * A whole NoticeResponse: the client's command is held. In the message itself, because many clients show no other field;
 * 00000, because nothing is wrong.
 */
export function encodeReviewNotice({ review, needed, expiresAtMs }: ReviewNotice): Buffer {
  const until = new Date(expiresAtMs).toISOString();
  const text = `hoop: held for review ${review}; approve: hoop approve ${review}; needs ${needed.join(', ')}; until ${until}`;
  const severity = 'NOTICE';
  const fields = [field('S', severity), field('V', severity), field('C', '00000'), field('M', text)];
  return encodeMessage('N', ...fields, Buffer.alloc(1));
}
