/** Masking as an operator would configure it, for tests of the protocol: the real engine. */
import { compileConfig, compileMasking } from '../../../../src/masking/masking.ts';
import type { MaskingConfig } from '../../../../src/masking/masking.ts';
import type { Masking } from '../../../../src/gate/masking.ts';

export type Rule = Partial<MaskingConfig['rules'][number]>;

const bare = {
  targets: [],
  targetGroups: [],
  detect: [],
  columns: [],
  outputs: [],
  mode: 'redact',
  value: null,
  exemptGroups: [],
} as const;

export function maskingOf(...rules: Rule[]): Masking {
  const config = compileConfig({
    detectors: [],
    rules: rules.map((rule, index) => Object.assign({}, bare, { name: `rule-${index}` }, rule)),
    exemptColumns: [],
  });
  if (!('custom' in config)) throw new Error(JSON.stringify(config));
  const scope = { target: { name: 'db', groups: [] }, groups: [], hashKey: Buffer.alloc(32, 7) };
  return compileMasking(config, scope).masking!;
}

/** What most operators start with. */
export const commonDetectors = ['card', 'email', 'us-ssn', 'iban', 'jwt', 'private-key'];
