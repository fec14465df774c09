/** One request to a witness, within bounds of time and length; redirects are not followed. */
import { request } from 'undici';
import { formatAddCheckpoint, parseSize, type AddCheckpoint } from './add-checkpoint.ts';
import { WitnessError } from './error.ts';

export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly lines: string }
  /** Of the last checkpoint that it cosigned. */
  | { readonly kind: 'conflict'; readonly size: number };

const timeoutMs = 10_000;
/** Some signature lines; of any other answer the beginning is enough. */
const answerBytes = 65_536;

/**
 * @param url submission prefix
 * @throws WitnessError `witness-unreachable`, `witness-refused`, `witness-contradicts`
 */
export async function postCheckpoint(
  url: string,
  body: AddCheckpoint,
  stop: AbortSignal,
): Promise<WitnessAnswer> {
  const { status, text } = await post(`${url}/add-checkpoint`, formatAddCheckpoint(body), stop);
  if (status === 200) return { kind: 'cosigned', lines: text };
  if (status === 409) {
    const size = parseSize(text.replace(/\n$/, ''));
    if (size !== null) return { kind: 'conflict', size };
  }
  if (status === 422)
    throw new WitnessError('witness-contradicts', 'the witness saw another history of this log (422)', {
      hint: 'ask who runs it for the checkpoint that it cosigned last, and compare: hoop audit verify --since FILE',
    });
  const known: Readonly<Record<number, string>> = {
    403: 'it does not know the key that signs this log: give it the new one',
    404: 'it does not know this log: give it the origin and the key',
    429: 'it has too many requests',
  };
  const why = known[status];
  throw new WitnessError(
    'witness-refused',
    `the witness answered ${status}${why === undefined ? '' : `: ${why}`}`,
  );
}

async function post(url: string, body: Buffer, stop: AbortSignal): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
  try {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'user-agent': 'hoop' };
    const answer = await request(url, { method: 'POST', headers, body, signal });
    let text = Buffer.alloc(0);
    for await (const chunk of answer.body) {
      text = Buffer.concat([text, chunk as Buffer]);
      if (text.length > answerBytes) throw new Error('the answer is too long');
    }
    return { status: answer.statusCode, text: text.toString('utf8') };
  } catch (cause) {
    throw new WitnessError('witness-unreachable', 'the witness does not answer', { cause });
  }
}
