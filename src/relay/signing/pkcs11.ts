/**
 * The log's key on a PKCS#11 token (an HSM, a smart card, SoftHSM): Ed25519, CKM_EDDSA. The token is asked in a thread of its
 * own. One signature is under way at a time; while the token does not answer, further ones are refused at once.
 */
import { Worker } from 'node:worker_threads';
import { NoteVerifier } from '../../evidence/log/note.ts';
import type { LogKeyConfig } from '../config/log-schema.ts';
import { SignerError } from './error.ts';

/** `sign` null: the public key is asked for. */
export interface Pkcs11Request {
  readonly sign: Uint8Array | null;
}
export type Pkcs11Answer = { readonly bytes: Uint8Array } | { readonly failed: string };

export type Pkcs11Config = Omit<Extract<LogKeyConfig, { kind: 'pkcs11' }>, 'kind'>;

const timeoutMs = 10_000;

export class Pkcs11Key {
  readonly #config: Pkcs11Config;
  #worker: Worker | null = null;
  #busy: ((answer: Pkcs11Answer) => void) | null = null;
  #publicKey: Buffer = Buffer.alloc(0);

  private constructor(config: Pkcs11Config) {
    this.#config = config;
  }

  /** Signs in to the token and reads the public key. @throws SignerError `signer-unavailable` */
  static async open(config: Pkcs11Config): Promise<Pkcs11Key> {
    const key = new Pkcs11Key(config);
    try {
      key.#publicKey = await key.#ask({ sign: null });
      return key;
    } catch (error) {
      await key.close();
      throw error;
    }
  }

  /** @param name of the log */
  verifier(name: string): NoteVerifier {
    return NoteVerifier.ofPublicKey(name, this.#publicKey);
  }

  /** @throws SignerError `signer-unavailable` */
  sign(message: Buffer): Promise<Buffer> {
    return this.#ask({ sign: message });
  }

  async close(): Promise<void> {
    // A call into the module cannot be cut short: whoever ends the process does not wait for it.
    this.#worker?.unref();
    if (this.#busy === null) await this.#worker?.terminate();
  }

  async #ask(request: Pkcs11Request): Promise<Buffer> {
    if (this.#busy !== null) throw unavailable('it has not answered the question before');
    const { promise, resolve } = Promise.withResolvers<Pkcs11Answer>();
    const timer = setTimeout(() => resolve({ failed: 'no answer in time' }), timeoutMs);
    this.#busy = resolve;
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    worker.postMessage(request, []);
    const answer = await promise.finally(() => clearTimeout(timer));
    if ('failed' in answer) throw unavailable(answer.failed);
    return Buffer.from(answer.bytes);
  }

  #start(): Worker {
    const { pin, ...key } = this.#config;
    const worker = new Worker(new URL('./pkcs11-worker.ts', import.meta.url), {
      workerData: { ...key, pin: pin.toString() },
    });
    const settle = (answer: Pkcs11Answer): void => {
      const waiting = this.#busy;
      this.#busy = null;
      worker.unref();
      waiting?.(answer);
    };
    const gone = (): void => {
      if (this.#worker === worker) this.#worker = null;
      settle({ failed: 'the thread of the module ended' });
    };
    worker.on('message', settle);
    worker.on('error', gone);
    worker.on('exit', gone);
    return worker;
  }
}

const unavailable = (why: string): SignerError =>
  new SignerError('signer-unavailable', `the PKCS#11 token does not sign: ${why}`, {
    hint: 'see log.key.pkcs11 in relay.yaml; hoop relay check tries it',
  });
