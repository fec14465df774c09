/**
 * The thread in which a PKCS#11 token signs: its calls block for as long as the token takes. Started by pkcs11.ts, one
 * for each key; answers in the order of the questions.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { HoopError } from '../../errors.ts';
import { reference } from '../config/secret.ts';
import { CryptokiError, Token, TokenError, type TokenKey } from './cryptoki.ts';
import type { Pkcs11Answer, Pkcs11Request } from './pkcs11.ts';

/** The PIN as a reference: it is read when the token asks for it. */
const { pin, ...key } = workerData as TokenKey & { readonly pin: string };
let token: Token | null = null;

async function answer(request: Pkcs11Request): Promise<Pkcs11Answer> {
  try {
    token ??= await Token.load(key, () => reference(pin, '/').resolve());
    return { bytes: request.sign === null ? token.publicKey() : token.sign(Buffer.from(request.sign)) };
  } catch (error) {
    // Texts of other errors may quote paths at most, those of our own say what is wrong.
    const message = error instanceof Error ? error.message : 'failed';
    const own = error instanceof CryptokiError || error instanceof TokenError || error instanceof HoopError;
    return { failed: own ? message : `the module cannot be used: ${message}` };
  }
}

let last: Promise<unknown> = Promise.resolve();
parentPort?.on('message', (request: Pkcs11Request) => {
  last = last.then(async () => parentPort?.postMessage(await answer(request), []));
});
