/**
 * A program that signs: it gets the bytes on its standard input and answers with the 64 bytes of the Ed25519 signature on
 * its standard output, nothing more, and exit code 0. No shell takes part. Its standard error is not read: it may say
 * anything. Without an answer in time it is killed.
 */
import { spawn } from 'node:child_process';
import { SignerError } from './error.ts';

const timeoutMs = 10_000;
const signatureBytes = 64;

export class CommandKey {
  readonly #argv: readonly string[];
  readonly #timeoutMs: number;

  constructor(argv: readonly string[], limits: { readonly timeoutMs: number } = { timeoutMs }) {
    this.#argv = argv;
    this.#timeoutMs = limits.timeoutMs;
  }

  /** @throws SignerError */
  sign(message: Buffer): Promise<Buffer> {
    const [program = '', ...words] = this.#argv;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const refuse = (code: SignerError['code'], why: string, cause?: unknown): void => {
      reject(new SignerError(code, `the program that signs ${why}`, { cause }));
      child.kill('SIGKILL');
    };
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'ignore'] });
    const timer = setTimeout(() => refuse('signer-unavailable', 'did not answer in time'), this.#timeoutMs);
    let answer = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length > signatureBytes) refuse('signer-answer-invalid', 'answered more than 64 bytes');
    });
    child.once('error', (error) => refuse('signer-unavailable', 'cannot be started', error));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) refuse('signer-refused', `ended with ${signal ?? `exit code ${code}`}`);
      else if (answer.length !== signatureBytes)
        refuse('signer-answer-invalid', `answered ${answer.length} bytes, not ${signatureBytes}`);
      else resolve(answer);
    });
    // One that does not read is judged by its answer.
    child.stdin.on('error', () => undefined);
    child.stdin.end(message);
    return promise.finally(() => clearTimeout(timer));
  }
}
