/** The commands of a session as a table: heads and rows. */
import type { EventView } from '../../wire/audit.ts';

type Table = [heads: readonly string[], rows: readonly (readonly (string | null)[])[]];

export function commandTable(protocol: string, commands: readonly EventView[]): Table {
  return protocol === 'ssh' ? ofServer(commands) : ofDatabase(commands);
}

const timing = ({ time, durationMs }: EventView): [string, string | null] => [
  time,
  durationMs === null ? null : durationMs.toFixed(1),
];

const masked = ({ redactions }: EventView): string | null =>
  redactions === 0 ? null : String(redactions ?? '');

const jsonOrNull = (values: readonly (string | null)[] | null): string | null =>
  values === null ? null : JSON.stringify(values);

const ofDatabase = (commands: readonly EventView[]): Table => [
  ['command', 'began', 'ms', 'outcome', 'result', 'does', 'masked', 'text', 'parameters'],
  commands.map((command) => [
    String(command.command),
    ...timing(command),
    command.outcome,
    command.errorCode ?? command.tag,
    command.effects?.join(' ') ?? null,
    masked(command),
    command.text,
    jsonOrNull(command.parameters),
  ]),
];

/** Lines of a shell and files stand under the program whose channel they are in, indented. */
function ofServer(commands: readonly EventView[]): Table {
  const channels = new Map<number | null, EventView[]>();
  for (const command of commands) {
    const channel = channels.get(command.connection);
    if (channel === undefined) channels.set(command.connection, [command]);
    else channel.push(command);
  }
  const rows = [...channels.values()].flatMap((ofChannel) => {
    const within = new Map<number | null, number>();
    return ofChannel.map((command, at) => {
      const depth = at === 0 ? 0 : 1 + (command.parent === null ? 0 : (within.get(command.parent) ?? 0));
      within.set(command.command, depth);
      return rowOfServer(command, depth);
    });
  });
  return [
    ['channel', 'command', 'began', 'ms', 'outcome', 'result', 'does', 'masked', 'text', 'environment'],
    rows,
  ];
}

function rowOfServer(command: EventView, depth: number): (string | null)[] {
  const known = command.how === 'reconstructed' ? ' (reconstructed)' : '';
  return [
    String(command.connection),
    String(command.command),
    ...timing(command),
    command.outcome,
    resultOf(command),
    command.effects?.join(' ') ?? null,
    masked(command),
    `${'  '.repeat(depth)}${command.text ?? ''}${known}`,
    jsonOrNull(command.parameters),
  ];
}

/** Exit status, or size and digest of a file; with the reason of a failure that is not the status itself. */
function resultOf({ tag, errorCode }: EventView): string | null {
  const parts = [tag, errorCode === tag ? null : errorCode].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(' ');
}
