/** A program without a terminal: what it writes is masked; what it reads the target gets as it is, and the record masked. */
import type { Inspection, InspectionEnds } from './inspection.ts';
import { MaskedStream, type MaskedStreamOptions } from './masking/masked-stream.ts';

export class OutputInspection implements Inspection {
  readonly blocked = false;
  readonly #ends: InspectionEnds;
  readonly #output: MaskedStream;
  readonly #errorOutput: MaskedStream;

  constructor(ends: InspectionEnds) {
    this.#ends = ends;
    this.#output = maskedOutput(ends, 'output');
    this.#errorOutput = maskedOutput(ends, 'error-output');
  }

  fromClient(chunk: Buffer): void {
    this.#ends.gate.input(this.#ends.command, chunk);
    this.#ends.toTarget(chunk);
  }

  fromTarget(chunk: Buffer): void {
    this.#output.push(chunk);
  }

  errorFromTarget(chunk: Buffer): void {
    this.#errorOutput.push(chunk);
  }

  clientEnded(): void {}

  targetEnded(): null {
    this.abandoned();
    return null;
  }

  abandoned(): void {
    this.#output.end();
    this.#errorOutput.end();
  }

  resize(): void {}
}

/**
 * What is decided is recorded and goes to the client. Only where the gate has a masking that detects.
 * @param deliver what else becomes of it
 */
export function maskedOutput(
  { gate, command, window, toClient, errorToClient, after }: InspectionEnds,
  stream: 'output' | 'error-output',
  deliver: (bytes: Buffer) => void = () => undefined,
): MaskedStream {
  const failed = (error: unknown): void => gate.maskingFailed(error);
  const options: MaskedStreamOptions = {
    masking: gate.masking!,
    terminal: window !== null,
    stream,
    after,
    failed,
    redacted: (rule, place, bytes, start, end) => gate.redacted(command, rule, place, bytes, start, end),
    deliver: (bytes) => {
      if (stream === 'output') toClient(gate.output(command, bytes));
      else errorToClient(gate.errorOutput(command, bytes));
      deliver(bytes);
    },
  };
  try {
    return new MaskedStream(options);
  } catch (error) {
    failed(error);
    throw error;
  }
}
