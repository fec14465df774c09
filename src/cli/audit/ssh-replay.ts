/** `hoop audit replay` of a server's session (SSH): chooses a channel, and plays, watches or exports it. */
import { writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { hasErrno } from '../../errors.ts';
import { firstChannel } from '../../evidence/read/channels.ts';
import type { ChannelView, SessionSummaryView, StreamView } from '../../wire/audit.ts';
import { visible } from '../colour.ts';
import { nameOf } from '../person.ts';
import type { Pace } from './pace.ts';
import { AuditError, type AuditSource } from './source.ts';
import { asciicast } from './terminal/asciicast.ts';
import { listen } from './terminal/keyboard.ts';
import { Player, type ChannelView as View, type PlayerKey } from './terminal/player.ts';
import { LinesView, RawView, TerminalView, type Surface } from './terminal/views.ts';

export interface SshReplay {
  readonly source: AuditSource;
  readonly session: SessionSummaryView;
  /** Null: the first terminal, or else program. */
  readonly channel: number | null;
  readonly surface: Surface;
  readonly signal: AbortSignal;
}

/** Channels that are listed when there are several. */
const mostListed = 20;

/**
 * The channel that was asked for; says which others there are.
 * @throws AuditError `channel-not-recorded`
 */
async function choose({ source, session, channel, surface }: SshReplay): Promise<ChannelView> {
  const channels = await source.channels(session);
  const found =
    channel === null
      ? firstChannel(channels)
      : (channels.find(({ channel: number }) => number === channel) ?? null);
  if (found === null)
    throw new AuditError(
      'channel-not-recorded',
      channel === null
        ? `session ${session.session} has no program to show`
        : `session ${session.session} has no channel ${channel}`,
      { hint: `its commands: hoop audit show ${session.session}` },
    );
  if (channel === null && channels.length > 1) {
    for (const each of channels.slice(0, mostListed))
      surface.note(`  ${each.channel === found.channel ? '>' : ' '} channel ${each.channel}: ${about(each)}`);
    const left = channels.length - mostListed;
    if (left > 0) surface.note(`    … and ${left} more: hoop audit show ${session.session}`);
    surface.note('  --channel N shows another one');
  }
  return found;
}

function about({ kind, term, text, columns, rows, tag }: ChannelView): string {
  const size = columns === null || rows === null ? null : `${columns}×${rows}`;
  const named = text === null || text === kind ? null : JSON.stringify(text.slice(0, 60));
  return [kind, term, size, named, tag]
    .filter((part) => part !== null)
    .map(visible)
    .join(' ');
}

/** Plays one channel. @param pace null: without any pause */
export async function play(replay: SshReplay, pace: Pace | null): Promise<void> {
  const { source, session, surface, signal } = replay;
  const { channel, kind, term } = await choose(replay);
  const view = viewOf(surface, { type: kind, term });
  const open = (): AsyncIterable<StreamView> => source.streams(session, { channel, input: false });
  const player = new Player({ open, view, pace: surface.size() === null ? null : pace });
  await whileShown(
    view,
    surface,
    signal,
    (key) => player.press(key),
    () => player.run(),
  );
}

/** Shows what happens until the session ends. */
export async function watch({ source, session, channel, surface, signal }: SshReplay): Promise<void> {
  const quit = new AbortController();
  const until = AbortSignal.any([signal, quit.signal]);
  let view: View = new RawView(surface);
  const press = (key: PlayerKey): void => {
    if (key === 'quit') quit.abort();
  };
  const shown: View & { ending(): string } = {
    shows: () => true,
    take: async (item, atMs) => {
      if (item.kind === 'opened') {
        if (view instanceof TerminalView) await surface.output(view.ending());
        view = viewOf(surface, item);
      }
      await view.take(item, atMs);
    },
    reset: async () => undefined,
    ending: () => (view instanceof TerminalView ? view.ending() : ''),
  };
  let outcome: string | null = null;
  await whileShown(shown, surface, until, press, async () => {
    let opened = 0;
    for await (const item of source.followedStreams(session, { channel, input: false }, until)) {
      if (until.aborted) return;
      if (item === null) continue;
      if (item.kind === 'opened') opened = item.micros;
      if (item.kind === 'ended') ({ outcome } = item);
      else await shown.take(item, (item.micros - opened) / 1000);
    }
  });
  if (outcome !== null) surface.note(`  the session has ended: ${visible(outcome)}`);
}

/** Runs with the terminal's keys, and gives the terminal back whatever happens. */
async function whileShown(
  view: View,
  surface: Surface,
  signal: AbortSignal,
  press: (key: PlayerKey) => void,
  work: () => Promise<void>,
): Promise<void> {
  const stop = (): void => press('quit');
  signal.addEventListener('abort', stop);
  const deaf = surface.size() === null ? null : listen(process.stdin, press);
  let over = false;
  const restore = (): void => {
    if (over) return;
    over = true;
    deaf?.();
    signal.removeEventListener('abort', stop);
    // At the process's end nothing that waits is written any more.
    if (surface.size() !== null && 'ending' in view) writeSync(1, (view as TerminalView).ending());
  };
  process.once('exit', restore);
  try {
    if (signal.aborted) stop();
    await work();
  } finally {
    process.off('exit', restore);
    restore();
  }
}

/** Files have nothing but their commands to show. */
function viewOf(
  surface: Surface,
  { type, term }: { readonly type: string; readonly term: string | null },
): View {
  if (type === 'subsystem') return new LinesView(surface);
  if (surface.size() === null) return new RawView(surface);
  return term === null ? new LinesView(surface) : new TerminalView(surface);
}

/**
 * Writes a channel as an asciicast.
 * @param file new; `-`: stdout
 * @throws AuditError `export-exists`
 */
export async function exportCast(
  replay: SshReplay,
  file: string,
  maxIdleMs: number,
): Promise<{ file: string; events: number } | undefined> {
  const { source, session, surface } = replay;
  const { channel, term, columns, rows, openedMicros } = await choose(replay);
  const title = `${nameOf(session.principal)} at ${session.target}, session ${session.session}, channel ${channel}`;
  const openedAtMs = Date.parse(session.openedAt) + openedMicros / 1000;
  const header = { title, openedAtMs, term, columns, rows, maxIdleMs };
  const pieces = asciicast(header, source.streams(session, { channel, input: true }));
  let events = -1;
  if (file === '-') {
    for await (const piece of pieces) {
      await surface.output(piece);
    }
    return undefined;
  }
  const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
    if (!hasErrno(error, 'EEXIST')) throw error;
    throw new AuditError('export-exists', `${file} exists already`, { hint: 'name a new file' });
  });
  try {
    for await (const piece of pieces) {
      await handle.write(piece);
      events++;
    }
  } finally {
    await handle.close();
  }
  surface.note(`  ${file}: ${events} events; asciinema play ${file}`);
  return { file, events };
}
