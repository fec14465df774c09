/** What a client asked for: enough to decide on it, to record it and to start it at the target. */
import type { CommandFacts } from '../../model/command-facts.ts';
import type { ProgramRequest, Window } from './program.ts';
import { readableWindow } from './window.ts';
import { sftpFacts, shellFacts, subsystemFacts, withCode } from './request-facts.ts';
import { isTelling } from './shell/variables.ts';

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

/** As the client said it. */
export interface AskedFor {
  readonly kind: 'exec' | 'shell' | 'subsystem';
  /** Of an exec its text, of a subsystem its name. */
  readonly text: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly terminal: Terminal | null;
  readonly agent: boolean;
  readonly x11: X11 | null;
}

export interface AskedProgram extends AskedFor {
  readonly request: ProgramRequest;
}

/** @param classify facts of the text of an exec; `terminal`: its output goes to one, where a pager runs what somebody types */
export function askedProgram(
  asked: AskedFor,
  classify: (text: Uint8Array, terminal: boolean) => CommandFacts,
): AskedProgram {
  const { kind, text, environment } = asked;
  const terminal = asked.terminal === null ? null : { ...asked.terminal, ...readableWindow(asked.terminal) };
  const shown = kind === 'exec' ? text : kind === 'shell' ? 'shell' : `subsystem ${text}`;
  const request = {
    text: Buffer.from(shown),
    facts: factsOf(asked, classify),
    environment: environmentText(environment),
    window: terminal,
  };
  return { ...asked, terminal, request };
}

/** What the record says of the channel. */
export const parametersOf = ({ kind, terminal }: AskedFor): Record<string, string> => ({
  channel: kind,
  ...(terminal !== null && { term: terminal.term }),
});

function factsOf(
  asked: AskedFor,
  classify: (text: Uint8Array, terminal: boolean) => CommandFacts,
): CommandFacts {
  const { kind, text, terminal, environment } = asked;
  const harmless = Object.keys(environment).every((name) => !isTelling(name, true));
  const facts =
    kind === 'exec'
      ? classify(Buffer.from(text), terminal !== null)
      : kind === 'shell'
        ? shellFacts
        : text === 'sftp'
          ? sftpFacts
          : subsystemFacts(text);
  return harmless ? facts : withCode(facts);
}

function environmentText(environment: Readonly<Record<string, string>>): Buffer | null {
  const pairs = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? null : Buffer.from(pairs.join('\0'));
}
