/** Texts and parameters of PostgreSQL commands as people read them. The bytes came from a client: nothing is trusted. */
import { decodeBindParameters, decodeFunctionArguments } from '../../protocols/postgres/messages/query.ts';
import { formatValue } from '../../protocols/postgres/messages/values.ts';

/** PostgreSQL's names of client encodings → WHATWG's; what is not here is read as UTF-8. */
const encodings: Readonly<Record<string, string>> = {
  LATIN1: 'windows-1252',
  LATIN2: 'iso-8859-2',
  LATIN5: 'windows-1254',
  LATIN9: 'iso-8859-15',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_7: 'iso-8859-7',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1257: 'windows-1257',
  WIN866: 'ibm866',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  EUC_JP: 'euc-jp',
  EUC_KR: 'euc-kr',
  EUC_CN: 'gbk',
  SJIS: 'shift_jis',
  BIG5: 'big5',
  GBK: 'gbk',
  GB18030: 'gb18030',
  UHC: 'euc-kr',
};

/** Null: UTF-8, or bytes that mean nothing else. */
export const encodingLabel = (clientEncoding: string): string | null =>
  encodings[clientEncoding.toUpperCase().replaceAll('-', '_')] ?? null;

/** The last one that was used: nearly always the next one's too. */
let last = { clientEncoding: 'UTF8', decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) };

function decoderOf(clientEncoding: string): InstanceType<typeof TextDecoder> {
  if (last.clientEncoding !== clientEncoding) {
    const label = encodingLabel(clientEncoding) ?? 'utf-8';
    last = { clientEncoding, decoder: new TextDecoder(label, { fatal: true, ignoreBOM: true }) };
  }
  return last.decoder;
}

/** `exact` is false when the text does not say what all bytes were. */
export function decodeText(bytes: Buffer, clientEncoding: string): { text: string; exact: boolean } {
  try {
    return { text: decoderOf(clientEncoding).decode(bytes), exact: true };
  } catch {
    last = { ...last, clientEncoding: '' }; // what it may have kept of these bytes, the next ones must not meet
    return { text: bytes.toString('utf8'), exact: false };
  }
}

export interface BoundParameters {
  readonly values: readonly (string | null)[];
  readonly resultFormats: readonly number[];
}

/**
 * What a Bind (or, for a `fastpath` text, a FunctionCall) carried.
 * @param types OIDs that the client fixed in Parse; a binary value of a type that is not known is given in hexadecimal
 */
export function decodeBound(bytes: Buffer, text: string, types: readonly number[]): BoundParameters {
  try {
    const bound = /^fastpath \d+$/.test(text) ? decodeFunctionArguments(bytes) : decodeBindParameters(bytes);
    const values = bound.values.map((value, at) =>
      formatValue(types[at] ?? 0, bound.formats[at] ?? 0, value),
    );
    return { values, resultFormats: bound.resultFormats };
  } catch {
    // The target will have refused it too; the bytes are what was sent.
    return { values: [`\\x${bytes.toString('hex')}`], resultFormats: [] };
  }
}
