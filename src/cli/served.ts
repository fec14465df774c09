/** A served target as people and programs read it: the banner of `hoop connect`, the rows of `hoop status`. */
import type { ServedView } from '../agent/control-protocol.ts';
import { directories } from '../agent/directories.ts';
import { knownHostsFile, rememberHostKey, sshHost } from '../agent/known-hosts.ts';
import { sshWords, shellWord as plainWord, type SshAddress } from '../agent/ssh-client.ts';
import { isInstalled, sshConfig } from '../agent/ssh-config.ts';
import { conninfo, url } from '../agent/postgres-client.ts';
import { colour, visible } from './colour.ts';
import { timeOfDay } from './time.ts';

/** Banner and document. What ssh has to know first is written. */
export async function present(
  view: ServedView,
): Promise<{ banner: readonly string[]; document: Record<string, unknown> }> {
  const { config } = directories();
  if (view.hostKey !== null) await rememberHostKey(config, view.target, view.hostKey);
  const configured = view.protocol === 'ssh' && (await isInstalled(sshConfig(config, [])));
  return { banner: bannerOf(view, configured), document: documentOf(view) };
}

/** Where ssh finds it. */
export const sshAddress = ({ target, host, port }: ServedView): SshAddress => ({
  target,
  host,
  port,
  knownHosts: knownHostsFile(directories().config),
});

/**
 * The two lines of the banner, without line ends.
 * @param configured ssh knows hoop's names
 */
export function bannerOf(view: ServedView, configured = false): [string, string] {
  const facts = [
    colour.bold(visible(view.target)),
    visible(view.server),
    `session ${view.session}`,
    `until ${timeOfDay(new Date(view.deadline))}`,
    `recorded by ${visible(view.relay)}`,
  ];
  const head = `  ${facts.join(' · ')}`;
  if (view.protocol === 'ssh') {
    const words = sshWords(sshAddress(view)).map((word) => plainWord(visible(word)));
    return [head, `  ${words.join(' ')}${configured ? `        ssh ${sshHost(view.target)}` : ''}`];
  }
  return [head, `  psql ${shellWord(conninfo(view))}        ${visible(url(view))}`];
}

/** For pasting into a shell, which must run nothing that a relay named a database. */
const shellWord = (text: string): string =>
  /["$`\\!]/.test(text) ? `'${visible(text).replaceAll("'", `'\\''`)}'` : `"${visible(text)}"`;

/** What `--json` shows of it: the same facts and both ways to connect. */
export function documentOf(view: ServedView): Record<string, unknown> {
  if (view.protocol === 'ssh') return { ...view, ssh: sshWords(sshAddress(view)) };
  return { ...view, conninfo: conninfo(view), url: url(view) };
}

export const statusHeads = [
  'target',
  'port',
  'session',
  'until',
  'connections',
  'state',
  'profile',
  'relay',
] as const;

export function statusRow(view: ServedView): string[] {
  const until = timeOfDay(new Date(view.deadline));
  return [
    view.target,
    String(view.port),
    view.session,
    until,
    String(view.connections),
    view.state,
    // A relay's own profile is called as the relay.
    view.profile === view.relay ? '' : view.profile,
    view.relay,
  ];
}
