/**
 * How a message is refused: a harmless one that fails takes its place at the target, and the target's error is swapped
 * for the refusal's own. So the transaction, the pipeline and ReadyForQuery are exactly what PostgreSQL makes of a failed
 * command, and the refused one never left.
 */
import { randomBytes } from 'node:crypto';
import type { FinalVerdict } from '../../gate/gate.ts';
import { cancelledSqlstate, deniedSqlstate, limitSqlstate } from './error.ts';
import type { Exchange } from './exchange.ts';
import { encodeErrorResponse } from './messages/error.ts';
import { cstring, encodeMessage } from './messages/frame.ts';
import { Slot } from './pipeline.ts';

export type RefusedSlot = typeof Slot.refusedQuery | typeof Slot.refusedExtended;

/** A syntax error in every state of a transaction, readable in the target's log. */
const failingQuery = encodeMessage('Q', cstring('refused by hoop'));
/** Fails in every state: nobody can prepare a statement of this name, which is new each time. */
const failingDescribe = (): Buffer =>
  encodeMessage('D', Buffer.from('S'), cstring(`refused by hoop ${randomBytes(16).toString('hex')}`));

/** `error` will be told in the place of what is sent here. Returns what goes to the target. */
export function refuse(exchange: Exchange, slot: RefusedSlot, error: Buffer): Buffer {
  exchange.refused(slot, error);
  return slot === Slot.refusedQuery ? Buffer.from(failingQuery) : failingDescribe();
}

/** Policy, or the reviewers, said no. `review`: the one that was told to the client, or null. */
export const denied = (verdict: FinalVerdict & { kind: 'deny' }, review: string | null): Buffer =>
  encodeErrorResponse('ERROR', {
    sqlstate: deniedSqlstate,
    message: review === null ? 'permission denied by policy' : `permission denied in review ${review}`,
    hint: verdict.hint,
    policies: verdict.policies,
  });

/** The client withdrew a held command; PostgreSQL's own words. */
export const cancelled = (): Buffer =>
  encodeErrorResponse('ERROR', {
    sqlstate: cancelledSqlstate,
    message: 'canceling statement due to user request',
    hint: null,
  });

export const tooLong = (limitBytes: number): Buffer =>
  encodeErrorResponse('ERROR', {
    sqlstate: limitSqlstate,
    message: `message is longer than ${limitBytes} bytes, the limit of this relay`,
    hint: 'Send large data with COPY, or in several statements.',
  });

export const tooManyStatements = (limit: number): Buffer =>
  encodeErrorResponse('ERROR', {
    sqlstate: limitSqlstate,
    message: `more than ${limit} prepared statements, the limit of this relay`,
    hint: null,
  });
