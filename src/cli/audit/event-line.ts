/** One event as one line for people. */
import { colour, visible } from '../colour.ts';
import { nameOf } from '../person.ts';
import type { EventView } from '../../wire/audit.ts';

/** Time, who, where, what. Text of others is made safe to print; it is never cut. */
export function eventLine(event: EventView): string {
  const who = event.principal === null ? 'relay' : nameOf(event.principal);
  const where = event.target ?? event.session ?? '-';
  return `${colour.dim(event.time)} ${who} ${where} ${whatOf(event)}`;
}

function whatOf(event: EventView): string {
  if (event.kind !== 'command') {
    const rest = [event.outcome, event.reason].filter((text) => text !== null);
    return [colour.bold(event.kind), ...rest.map(visible)].join(' ');
  }
  const result = event.errorCode ?? event.tag ?? '';
  const parameters = event.parameters === null ? '' : ` ${JSON.stringify(event.parameters)}`;
  const masked = (event.redactions ?? 0) > 0 ? colour.dim(`  masked ${event.redactions}`) : '';
  const known = event.how === 'reconstructed' ? colour.dim(' (reconstructed)') : '';
  return `${outcomeColour(event.outcome)}${result === '' ? '' : ` ${visible(result)}`}  ${oneLine(event.text)}${known}${visible(parameters)}${masked}`;
}

const oneLine = (text: string | null): string => visible((text ?? '').replaceAll(/\s+/g, ' ').trim());

function outcomeColour(outcome: string | null): string {
  const text = visible(outcome ?? '');
  return outcome === 'succeeded' ? colour.green(text) : colour.red(text);
}
