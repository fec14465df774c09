/** A masked stream over the real masking engine, with a clock that moves when it is told. */
import assert from 'node:assert/strict';
import type { Masking, RedactionPlace } from '../../../../src/gate/masking.ts';
import { compileConfig, compileMasking, type MaskingRule } from '../../../../src/masking/masking.ts';
import { MaskedStream } from '../../../../src/protocols/ssh/masking/masked-stream.ts';

export function maskingOf(detect: readonly string[], mode: MaskingRule['mode'] = 'redact'): Masking {
  const rule = { name: 'r', targets: [], targetGroups: [], columns: [], outputs: [], exemptGroups: [] };
  const compiled = compileConfig({
    detectors: [],
    rules: [{ ...rule, detect, mode, value: null }],
    exemptColumns: [],
  });
  assert.ok('custom' in compiled);
  const scope = { target: { name: 'db', groups: [] }, groups: [], hashKey: Buffer.alloc(32, 1) };
  const { masking } = compileMasking(compiled, scope);
  assert.ok(masking !== null);
  return masking;
}

export interface Given {
  readonly terminal?: boolean;
  readonly detect?: readonly string[];
  readonly mode?: MaskingRule['mode'];
  readonly masking?: Masking;
  readonly columns?: number;
  readonly stream?: 'output' | 'error-output';
}

export class Stream {
  readonly stream: MaskedStream;
  readonly redactions: { readonly place: RedactionPlace; readonly original: string }[] = [];
  readonly delivered: Buffer[] = [];
  #now = 0;
  #timer: { at: number; work: () => void } | null = null;

  constructor({
    terminal = false,
    detect = ['card'],
    mode = 'redact',
    masking,
    columns,
    stream,
  }: Given = {}) {
    this.stream = new MaskedStream({
      masking: masking ?? maskingOf(detect, mode),
      terminal,
      ...(stream === undefined ? {} : { stream }),
      redacted: (_rule, place, bytes, start, end) => {
        const original = Buffer.from(bytes.subarray(start, end)).toString('latin1');
        assert.equal(original.length, place.length);
        this.redactions.push({ place, original });
      },
      failed: (error) => {
        throw error;
      },
      deliver: (bytes) => {
        assert.ok(bytes.length > 0, 'nothing empty is delivered');
        this.delivered.push(bytes);
      },
      after: (ms, work) => {
        assert.equal(this.#timer, null, 'one clock at a time');
        const timer = { at: this.#now + ms, work };
        this.#timer = timer;
        return () => {
          if (this.#timer === timer) this.#timer = null;
        };
      },
    });
    if (columns !== undefined) this.stream.resize(columns);
  }

  get text(): string {
    return Buffer.concat(this.delivered).toString('latin1');
  }

  get waits(): boolean {
    return this.#timer !== null;
  }

  push(text: string | Buffer): this {
    this.stream.push(Buffer.from(text as string, 'latin1'));
    return this;
  }

  pass(ms: number): this {
    this.#now += ms;
    const timer = this.#timer;
    if (timer !== null && timer.at <= this.#now) {
      this.#timer = null;
      timer.work();
    }
    return this;
  }

  end(): string {
    this.stream.end();
    assert.equal(this.waits, false, 'no clock runs behind the end');
    return this.text;
  }
}

/** What is delivered of pieces that follow one another at once. */
export function masked(pieces: readonly (string | Buffer)[], given: Given = {}): string {
  const stream = new Stream(given);
  for (const piece of pieces) stream.push(piece);
  return stream.end();
}

export const stars = (text: string): string => text.replaceAll(/[^\r\n]/g, '*');
