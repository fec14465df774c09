/** A served target as people and programs read it: the banner of `hoop connect`, the rows of `hoop status`. */
import type { ServedView } from '../agent/control-protocol.ts';
import { conninfo, url } from '../agent/postgres-client.ts';
import { colour, visible } from './colour.ts';
import { timeOfDay } from './time.ts';

/** The two lines of the banner, without line ends. */
export function bannerOf(view: ServedView): [string, string] {
  const facts = [
    colour.bold(visible(view.target)),
    visible(view.server),
    `session ${view.session}`,
    `until ${timeOfDay(new Date(view.deadline))}`,
    `recorded by ${visible(view.relay)}`,
  ];
  return [`  ${facts.join(' · ')}`, `  psql ${shellWord(conninfo(view))}        ${visible(url(view))}`];
}

/** For pasting into a shell, which must run nothing that a relay named a database. */
const shellWord = (text: string): string =>
  /["$`\\!]/.test(text) ? `'${visible(text).replaceAll("'", `'\\''`)}'` : `"${visible(text)}"`;

/** What `--json` shows of it: the same facts and both ways to connect. */
export function documentOf(view: ServedView): Record<string, unknown> {
  return { ...view, conninfo: conninfo(view), url: url(view) };
}

export const statusHeads = ['target', 'port', 'session', 'until', 'connections', 'state', 'relay'] as const;

export function statusRow(view: ServedView): string[] {
  const until = timeOfDay(new Date(view.deadline));
  return [
    view.target,
    String(view.port),
    view.session,
    until,
    String(view.connections),
    view.state,
    view.relay,
  ];
}
