/** Flags of the commands that verify, and what they ask for. */
import * as Flags from '@oclif/core/flags';
import type { Asked } from './verification.ts';

export const verifyFlags = {
  vkey: Flags.string({
    description: 'the log’s verifier key (C2SP signed note)',
    exclusive: ['vkey-file'],
  }),
  'vkey-file': Flags.string({ description: 'file that holds it', helpValue: 'FILE' }),
  since: Flags.string({
    description: 'a checkpoint seen earlier, which the log must extend',
    helpValue: 'FILE',
  }),
  witness: Flags.string({
    description: 'verifier key of a witness that must have cosigned the log; repeat for several',
    multiple: true,
    helpValue: 'VKEY',
    exclusive: ['policy'],
  }),
  quorum: Flags.integer({
    description: 'how many of them are enough; all otherwise',
    min: 1,
    dependsOn: ['witness'],
  }),
  policy: Flags.string({
    description: 'policy of logs and witnesses (C2SP tlog-policy)',
    helpValue: 'FILE',
  }),
  partial: Flags.boolean({
    description: 'the export holds the recordings of some sessions (its scope.json)',
  }),
  identity: Flags.string({
    description:
      'file with an auditor’s age identity: open what was sealed, and see that it is what the log promised',
    helpValue: 'FILE',
  }),
  attribution: Flags.boolean({
    description: 'follow each act to the identity provider’s own signature',
  }),
};

interface Given {
  readonly vkey: string | undefined;
  readonly 'vkey-file': string | undefined;
  readonly since: string | undefined;
  readonly witness: readonly string[] | undefined;
  readonly quorum: number | undefined;
  readonly policy: string | undefined;
  readonly identity: string | undefined;
  readonly attribution: boolean;
}

/** @param session whose acts are told step by step */
export function askedBy(given: Given, session?: string): Asked {
  const { vkey, since, witness, quorum, policy } = given;
  return {
    key: { vkey, file: given['vkey-file'] },
    since,
    identity: given.identity,
    attribution: given.attribution ? { ...(session !== undefined && { session }) } : undefined,
    witnesses: { vkeys: witness ?? [], quorum, policy },
  };
}
