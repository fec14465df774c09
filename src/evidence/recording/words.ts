/** The words of FORMAT.md, encoded once. */
import type { OutcomeKind } from '../../model/outcome.ts';
import { encodedText } from './encode.ts';

export const segment = encodedText('segment');
export const connection = encodedText('connection');
export const connectionClosed = encodedText('connection-closed');
export const statement = encodedText('statement');
export const command = encodedText('command');
export const input = encodedText('input');
export const output = encodedText('output');
export const outcome = encodedText('outcome');
export const blob = encodedText('blob');

export const version = encodedText('v');
export const session = encodedText('session');
export const index = encodedText('index');
export const protocol = encodedText('protocol');
export const parameters = encodedText('parameters');
export const serverVersion = encodedText('serverVersion');
export const bytes = encodedText('bytes');
export const sha256 = encodedText('sha256');

export const allow = encodedText('allow');
export const deny = encodedText('deny');
export const outcomes: Readonly<Record<OutcomeKind, Buffer>> = {
  succeeded: encodedText('succeeded'),
  failed: encodedText('failed'),
  blocked: encodedText('blocked'),
  cancelled: encodedText('cancelled'),
};
