/** A log's key that answers with signatures. What it answers is believed only when its public key verifies it. */
import { formatSignature, type CheckpointSigner, type NoteVerifier } from '../../evidence/log/note.ts';
import { SignerError } from './error.ts';

export class ExternalSigner implements CheckpointSigner {
  readonly verifier: NoteVerifier;
  readonly #sign: (message: Buffer) => Promise<Buffer>;

  /** @param sign resolves to 64 bytes of Ed25519, within a bound of time */
  constructor(verifier: NoteVerifier, sign: (message: Buffer) => Promise<Buffer>) {
    this.verifier = verifier;
    this.#sign = sign;
  }

  /** @throws SignerError */
  async sign(text: string): Promise<string> {
    const signature = await this.#sign(Buffer.from(text));
    const { name, keyId } = this.verifier;
    if (this.verifier.check(text, { name, keyId, signature }) === null)
      throw new SignerError(
        'signer-answer-invalid',
        `what was answered is no signature by the key of ${name}`,
        {
          hint: 'is it another key than the one in relay.yaml?',
        },
      );
    return `${text}\n${formatSignature(this.verifier, signature)}`;
  }
}
