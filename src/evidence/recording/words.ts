/** The words of FORMAT.md, encoded once. */
import type { OutcomeKind } from '../../model/outcome.ts';
import { encodedText } from './encode.ts';
import type { RedactionPart } from './redactions.ts';

export const segment = encodedText('segment');
export const connection = encodedText('connection');
export const connectionClosed = encodedText('connection-closed');
export const statement = encodedText('statement');
export const command = encodedText('command');
export const input = encodedText('input');
export const output = encodedText('output');
export const errorOutput = encodedText('error-output');
export const resize = encodedText('resize');
export const origin = encodedText('origin');
export const origins = { reconstructed: encodedText('reconstructed'), marked: encodedText('marked') };
export const outcome = encodedText('outcome');
export const blob = encodedText('blob');
export const facts = encodedText('facts');
export const rule = encodedText('rule');
export const redactions = encodedText('redactions');
export const sealKey = encodedText('seal-key');
export const originals = encodedText('originals');

export const flushed = encodedText('flushed');

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
  unknown: encodedText('unknown'),
};
export const parts: Readonly<Record<RedactionPart, Buffer>> = {
  row: encodedText('row'),
  message: encodedText('message'),
  statement: encodedText('statement'),
  text: encodedText('text'),
  parameter: encodedText('parameter'),
  input: encodedText('input'),
  startup: encodedText('startup'),
  output: encodedText('output'),
  'error-output': encodedText('error-output'),
};
