/**
 * What a witness answers to a checkpoint, https://c2sp.org/tlog-witness, in the order of the specification. The
 * decision and its record are one turn: two requests for one log never see the same last checkpoint.
 */
import { EvidenceError } from '../../evidence/error.ts';
import { parseCheckpoint, type Checkpoint } from '../../evidence/log/checkpoint.ts';
import {
  formatNote,
  parseNote,
  type Cosigner,
  type Note,
  type NoteVerifier,
} from '../../evidence/log/note.ts';
import { emptyRoot, verifyConsistency } from '../../evidence/log/tlog.ts';
import type { Clock } from '../../system/clock.ts';
import { parseAddCheckpoint, type AddCheckpoint } from './add-checkpoint.ts';
import type { WitnessStore } from './store.ts';

export interface Judge {
  readonly logs: ReadonlyMap<string, readonly NoteVerifier[]>;
  readonly cosigner: Cosigner;
  readonly store: WitnessStore;
  readonly clock: Clock;
}

export interface Judgement {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  /** Signature lines (200), the size (409), or a sentence. */
  readonly body: string;
}

/** @param body of any origin */
export async function addCheckpoint(judge: Judge, body: Buffer): Promise<Judgement> {
  const request = parseAddCheckpoint(body);
  if (request === null) return refusal(400, 'the body is not that of add-checkpoint');
  let note: Note;
  let checkpoint: Checkpoint;
  try {
    note = parseNote(request.checkpoint);
    checkpoint = parseCheckpoint(note.text);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return refusal(400, error.message);
  }
  const keys = judge.logs.get(checkpoint.origin);
  if (keys === undefined) return refusal(404, 'this witness does not know the log');
  const signatures = note.signatures.filter((line) => keys.some((key) => key.claims(line)));
  const valid = signatures.every((line) =>
    keys.every((key) => !key.claims(line) || key.check(note.text, line) !== null),
  );
  if (signatures.length === 0 || !valid)
    return refusal(403, 'no valid signature by a key that this witness trusts for the log');
  if (request.old > checkpoint.size) return refusal(400, 'the old size is above that of the checkpoint');
  const trusted = { text: note.text, signatures };
  return judge.store.inTurn(checkpoint.origin, () => decide(judge, request, { checkpoint, note: trusted }));
}

async function decide(
  { cosigner, store, clock }: Judge,
  { old, proof }: AddCheckpoint,
  { checkpoint, note }: { readonly checkpoint: Checkpoint; readonly note: Note },
): Promise<Judgement> {
  const last = store.last(checkpoint.origin)?.checkpoint ?? { size: 0, root: emptyRoot };
  if (old !== last.size) return { status: 409, body: `${last.size}\n` };
  if (checkpoint.size === 0 && !checkpoint.root.equals(emptyRoot))
    return refusal(422, 'the root of an empty tree is another one');
  if (!verifyConsistency(proof, last, checkpoint))
    return refusal(422, 'the proof does not show that the log extends what was cosigned before');
  const seconds = Math.floor(clock.wallMs() / 1000);
  const line = cosigner.cosign(note.text, seconds);
  const cosigned = `${formatNote(note)}${line}`;
  await store.replace({ checkpoint, seconds, note: cosigned });
  return { status: 200, body: line };
}

const refusal = (status: 400 | 403 | 404 | 422, why: string): Judgement => ({ status, body: `${why}\n` });
