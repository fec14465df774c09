/** A client's `session` channel (RFC 4254, 6): what it asks for before a program, and the program. */
import type { ServerChannel, Session } from 'ssh2';
import type { ClientEnd, ExitStatus, ProgramRequest, Window } from './program.ts';
import {
  forwardAgentFacts,
  forwardX11Facts,
  shellFacts,
  sftpFacts,
  subsystemFacts,
} from './request-facts.ts';
import type { CommandFacts } from '../../model/command-facts.ts';

/** A terminal as the client describes it. */
export interface Terminal extends Window {
  readonly term: string;
  readonly width: number;
  readonly height: number;
  readonly modes: Readonly<Record<string, number>>;
}

export interface X11 {
  readonly single: boolean;
  readonly protocol: string;
  readonly cookie: string;
  readonly screen: number;
}

/** What a client asked for: enough to start it at the target. */
export interface AskedProgram {
  readonly kind: 'exec' | 'shell' | 'subsystem';
  /** Of an exec its text, of a subsystem its name. */
  readonly text: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly terminal: Terminal | null;
  readonly agent: boolean;
  readonly x11: X11 | null;
  readonly request: ProgramRequest;
}

/** The running program, as its channel needs it. */
export interface Running {
  signal(name: string): void;
  resize(window: Window): void;
  abandon(why: 'disconnected' | 'session-ended'): void;
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
  const start = (
    kind: AskedProgram['kind'],
    text: string,
    facts: CommandFacts,
    accept: () => ServerChannel,
  ): void => {
    const shown = kind === 'exec' ? text : kind === 'shell' ? 'shell' : `subsystem ${text}`;
    const request = {
      text: Buffer.from(shown),
      facts,
      environment: environmentText(environment),
      window: terminal,
    };
    const asked = { kind, text, environment: { ...environment }, terminal, agent, x11, request };
    running = options.start(asked, clientEndOf(accept()));
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
    start('exec', command, options.classify(Buffer.from(command), terminal !== null), accept);
  });
  session.on('shell', (accept) => start('shell', '', shellFacts, accept));
  session.on('subsystem', (accept, reject, { name }) => {
    if (inexact.test(name)) return void answer(reject);
    start('subsystem', name, name === 'sftp' ? sftpFacts : subsystemFacts(name), accept);
  });
  session.on('close', () => running?.abandon('disconnected'));
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

/**
 * What client and target are told. Zero says nothing (RFC 4254, 6.2). On a screen of a few columns no line could be read, so
 * the target is told of no smaller one.
 */
const windowOf = ({ cols, rows }: { cols: number; rows: number }): Window => ({
  columns: cols === 0 ? 80 : Math.min(Math.max(20, cols), 10_000),
  rows: rows === 0 ? 24 : Math.min(Math.max(4, rows), 10_000),
});

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

function environmentText(environment: Readonly<Record<string, string>>): Buffer | null {
  const pairs = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? null : Buffer.from(pairs.join('\0'));
}
