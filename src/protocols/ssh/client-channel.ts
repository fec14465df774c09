/** A client's `session` channel (RFC 4254, 6): what it asks for before a program, and the program. */
import type { ServerChannel, Session } from 'ssh2';
import { askedProgram, type AskedProgram, type Terminal, type X11 } from './asked-program.ts';
import type { ClientEnd, ExitStatus, Window } from './program.ts';
import { forwardAgentFacts, forwardX11Facts } from './request-facts.ts';
import type { CommandFacts } from '../../model/command-facts.ts';

/** The running program, as its channel needs it. */
export interface Running {
  signal(name: string): void;
  resize(window: Window): void;
  /** @param told to the client where its channel can carry it; null: nothing */
  abandon(why: 'disconnected' | 'session-ended', told: string | null): void;
  readonly closed: Promise<void>;
}

export interface SessionChannelOptions {
  /** @param terminal its output goes to a terminal, where a pager runs what somebody types */
  readonly classify: (text: Uint8Array, terminal: boolean) => CommandFacts;
  /** Asks policy about a forwarding (agent, X11) and records it; people are not asked. */
  readonly mayForward: (text: string, facts: CommandFacts) => boolean;
  readonly start: (asked: AskedProgram, client: ClientEnd) => Running;
}

const mostVariables = 256;
const longestVariable = 32 * 1024;
/** A replacement character stands for bytes that were no text: then what is decided on would not be what runs. */
const inexact = /\ufffd|\0/;

/** Serves the channel; ssh2 has confirmed it. */
export function serveSessionChannel(session: Session, options: SessionChannelOptions): void {
  const environment: Record<string, string> = {};
  let terminal: Terminal | null = null;
  let [agent, x11]: [boolean, X11 | null] = [false, null];
  let running: Running | null = null;
  const start = (kind: AskedProgram['kind'], text: string, accept: () => ServerChannel): void => {
    const asked = { kind, text, environment: { ...environment }, terminal, agent, x11 };
    running = options.start(askedProgram(asked, options.classify), clientEndOf(accept()));
  };
  session.on('env', (accept, reject, { key, val }) => {
    const fits =
      Object.keys(environment).length < mostVariables && key.length + val.length <= longestVariable;
    if (!fits || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key) || inexact.test(val)) return void answer(reject);
    environment[key] = val;
    answer(accept);
  });
  session.on('pty', (accept, _reject, info) => {
    terminal = terminalOf(info);
    answer(accept);
  });
  session.on('window-change', (accept, _reject, info) => {
    const window = windowOf(info);
    if (terminal !== null) terminal = { ...terminal, ...window };
    running?.resize(window);
    answer(accept);
  });
  session.on('auth-agent', (accept, reject) => {
    agent = options.mayForward('forward agent', forwardAgentFacts);
    answer(agent ? accept : reject);
  });
  session.on('x11', (accept, reject, info) => {
    const may = options.mayForward('forward x11', forwardX11Facts);
    if (may)
      x11 = {
        single: info.single,
        protocol: info.protocol,
        cookie: String(info.cookie),
        screen: info.screen,
      };
    answer(may ? accept : reject);
  });
  session.on('signal', (accept, _reject, { name }) => {
    running?.signal(name);
    answer(accept);
  });
  session.on('exec', (accept, reject, { command }) => {
    if (inexact.test(command)) return void answer(reject);
    start('exec', command, accept);
  });
  session.on('shell', (accept) => start('shell', '', accept));
  session.on('subsystem', (accept, reject, { name }) => {
    if (inexact.test(name)) return void answer(reject);
    start('subsystem', name, accept);
  });
  session.on('close', () => running?.abandon('disconnected', null));
}

/** Absent where the client wants no reply. */
function answer(reply: (() => unknown) | undefined): void {
  reply?.();
}

function clientEndOf(channel: ServerChannel): ClientEnd {
  let over = false;
  // Errors of a channel are its end, which is told apart.
  channel.on('error', () => undefined);
  return {
    input: channel,
    output: channel,
    errorOutput: channel.stderr,
    exit: (status: ExitStatus) => {
      if (over) return;
      over = true;
      if ('code' in status) channel.exit(status.code);
      else channel.exit(status.signal, status.coreDumped);
      channel.end();
      channel.close();
    },
    destroy: () => {
      over = true;
      channel.close();
    },
  };
}

const windowOf = ({ cols, rows }: { cols: number; rows: number }): Window => ({ columns: cols, rows });

interface PtyInfo {
  readonly cols: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
  readonly modes: object;
}

function terminalOf(info: PtyInfo): Terminal {
  const term: unknown = Reflect.get(info, 'term');
  const modes: Record<string, number> = {};
  for (const [name, value] of Object.entries(info.modes)) if (typeof value === 'number') modes[name] = value;
  return {
    ...windowOf(info),
    width: info.width,
    height: info.height,
    modes,
    term: typeof term === 'string' && /^[\x21-\x7e]{1,64}$/.test(term) ? term : 'vt100',
  };
}
