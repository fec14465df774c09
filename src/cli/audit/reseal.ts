/**
 * Originals sealed to other auditors, where the auditor is: each segment's age file is opened, what is in it is encrypted anew
 * under a new file key, and the relay puts that in its place. Whoever could open the old file can open the new one only
 * as one of its recipients.
 */
import { hash } from 'node:crypto';
import type { Account } from '../../agent/account.ts';
import { EvidenceError } from '../../evidence/error.ts';
import { openAge } from '../../evidence/read/originals.ts';
import { encryptAge, parseRecipient, type AgeRecipient } from '../../evidence/recording/age.ts';
import { makeSignedRequest } from '../../identity/signed-request.ts';
import { systemClock } from '../../system/clock.ts';
import type { SealedSegmentView } from '../../wire/audit.ts';
import type { ResealClaims } from '../../wire/reseal.ts';
import { visible } from '../colour.ts';
import { AuditError } from './source.ts';

/** Segments that masked something. */
export interface ResealTally {
  /** Sealed to the new recipients now. */
  resealed: number;
  /** Sealed to none of the identities. */
  locked: number;
  /** Their originals stand in the recording itself, as recovery left them: what the log names is never rewritten. */
  inRecording: number;
  /** Nothing of them is there: not kept, or erased. */
  missing: number;
}

/** @throws AuditError `recipient-invalid` */
export function recipientsOf(texts: readonly string[]): AgeRecipient[] {
  return [...new Set(texts)].map((text) => {
    const recipient = parseRecipient(text);
    if (recipient !== null) return recipient;
    throw new AuditError('recipient-invalid', `${visible(text)} is no recipient of age`, {
      hint: 'name what hoop audit keygen printed: age1…',
    });
  });
}

/** The relay answers when its log has signed that; one signature is for all that wait. Some megabytes each at most. */
const together = 16;

export class Resealer {
  readonly tally: ResealTally = { resealed: 0, locked: 0, inRecording: 0, missing: 0 };
  readonly #waiting: SealedSegmentView[] = [];
  readonly #account: Pick<Account, 'relay' | 'signIn' | 'client'>;
  readonly #identities: readonly string[];
  readonly #recipients: readonly AgeRecipient[];

  /** @param keys `identities` open what is there, `AGE-SECRET-KEY-1…` */
  constructor(
    account: Pick<Account, 'relay' | 'signIn' | 'client'>,
    keys: { readonly identities: readonly string[]; readonly recipients: readonly AgeRecipient[] },
  ) {
    this.#account = account;
    this.#identities = keys.identities;
    this.#recipients = keys.recipients;
  }

  /** @throws EvidenceError `originals-unreadable`; RelayProblem, AgentError */
  async take(segment: SealedSegmentView): Promise<void> {
    if (segment.age === null) this.tally[segment.sealKey === null ? 'missing' : 'inRecording'] += 1;
    else if (this.#waiting.push(segment) === together) await this.#reseal();
  }

  /** @throws as `take`; EvidenceError `originals-locked` when the identities opened nothing of what is there */
  async finish(): Promise<ResealTally> {
    await this.#reseal();
    if (this.tally.resealed === 0 && this.tally.locked > 0)
      throw new EvidenceError('originals-locked', 'the identity opens none of these originals', {
        hint: 'it may be that they were sealed anew already',
      });
    return this.tally;
  }

  async #reseal(): Promise<void> {
    await Promise.all(this.#waiting.splice(0).map((segment) => this.#resealOne(segment)));
  }

  async #resealOne({ session, segment, age }: SealedSegmentView): Promise<void> {
    const before = Buffer.from(age!, 'base64');
    const content = await openAge(age!, this.#identities, segment).catch((error: unknown) => {
      if (error instanceof EvidenceError && error.code === 'originals-locked') return null;
      throw error;
    });
    if (content === null) this.tally.locked += 1;
    else {
      await this.#put({ session, segment }, before, encryptAge(this.#recipients, content));
      this.tally.resealed += 1;
    }
  }

  async #put(
    { session, segment }: { readonly session: string; readonly segment: number },
    before: Buffer,
    age: Buffer,
  ): Promise<void> {
    const { relay, signIn, client } = this.#account;
    const claims = {
      v: 1 as const,
      action: 'originals.reseal' as const,
      relay,
      session,
      segment,
      from: hash('sha256', before, 'hex'),
      to: hash('sha256', age, 'hex'),
      recipients: this.#recipients.map(({ text }) => text),
    };
    const request = await makeSignedRequest<ResealClaims>(await signIn.key(), claims, systemClock);
    const path = `/v1/audit/sessions/${session}/originals/${segment}`;
    await client.send('POST', path, { request, age: age.toString('base64') });
  }
}

/** For people. */
export function* tallyLines({ resealed, locked, inRecording, missing }: ResealTally): Generator<string> {
  yield `  resealed    ${resealed} segments`;
  if (locked > 0) yield `  locked      ${locked}, to none of these identities`;
  if (inRecording > 0) yield `  unchanged   ${inRecording}, in recordings that a killed relay left`;
  if (missing > 0) yield `  without     ${missing}, not kept or erased`;
}
