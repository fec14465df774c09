/** What a program wrote, kept for one JSON document. */
import { Writable } from 'node:stream';
import { AgentError } from '../../agent/error.ts';

const limitBytes = 64 * 1024 * 1024;

export interface Captured {
  readonly text: string;
  readonly encoding: 'utf8' | 'base64';
}

export class Capture extends Writable {
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  /** @param full told once, when more comes than one document may hold */
  constructor(full: (error: AgentError) => void) {
    super({
      write: (chunk: Buffer, _encoding, done) => {
        const before = this.#bytes;
        this.#bytes += chunk.length;
        if (this.#bytes <= limitBytes) this.#parts.push(Buffer.from(chunk));
        else if (before <= limitBytes) full(tooLarge());
        done();
      },
    });
  }

  /** As text where it is text, so that nothing is changed. */
  get captured(): Captured {
    const bytes = Buffer.concat(this.#parts);
    const text = bytes.toString('utf8');
    if (Buffer.from(text).equals(bytes)) return { text, encoding: 'utf8' };
    return { text: bytes.toString('base64'), encoding: 'base64' };
  }
}

export const tooLarge = (): AgentError =>
  new AgentError('result-too-large', 'the output is more than one JSON document may hold (64 MiB)', {
    hint: 'leave out --json, which streams',
  });
