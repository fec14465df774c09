/** Which inspection a program gets. */
import type { CommandFacts } from '../../model/command-facts.ts';
import type { AskedProgram } from './client-channel.ts';
import { FileInspection } from './file-inspection.ts';
import { FileFacts } from './files/file-facts.ts';
import { PlainInspection, type InspectionEnds, type MakeInspection } from './inspection.ts';
import { line } from './notices.ts';
import { OutputInspection } from './output-inspection.ts';
import { ScpExchange } from './scp/exchange.ts';
import type { ScpInvocation } from './scp/invocation.ts';
import { SftpExchange } from './sftp/exchange.ts';
import { transferOf, type Transfer } from './shell/transfers.ts';
import { TerminalInspection } from './terminal-inspection.ts';

/** Of one session: what it remembers is its own. */
export class Inspections {
  readonly #facts = new FileFacts();
  readonly #classify: (text: Uint8Array) => CommandFacts;

  /** @param classify facts of a line that somebody types on a terminal */
  constructor(classify: (text: Uint8Array) => CommandFacts) {
    this.#classify = classify;
  }

  for({ kind, text, terminal }: AskedProgram): MakeInspection {
    if (kind === 'subsystem' && text === 'sftp') return (ends) => this.#sftp(ends);
    if (terminal !== null) return (ends) => new TerminalInspection(ends, terminal, this.#classify);
    const transfer = kind === 'exec' ? transferOf(Buffer.from(text)) : null;
    if (transfer?.kind === 'sftp') return (ends) => this.#sftp(ends);
    const scp = transfer === null ? null : scpInvocation(text, transfer);
    if (scp !== null) return (ends) => this.#scp(ends, scp);
    // Protocols between two programs: nothing in them may be replaced. Policy knows them by the effect `file`.
    if (transfer !== null) return (ends) => new PlainInspection(ends);
    return (ends) =>
      ends.gate.masking?.detects === true ? new OutputInspection(ends) : new PlainInspection(ends);
  }

  #sftp(ends: InspectionEnds): FileInspection {
    return new FileInspection(ends, new SftpExchange(this.#fileOptions(ends)));
  }

  #scp(ends: InspectionEnds, invocation: ScpInvocation): FileInspection {
    return new FileInspection(ends, new ScpExchange({ ...this.#fileOptions(ends), invocation }));
  }

  #fileOptions({ gate, command, toTarget, toClient, errorToClient, awake }: InspectionEnds) {
    const tell = (text: string): void => errorToClient(gate.errorOutput(command, line(text)));
    return { gate, facts: this.#facts, toTarget, toClient, awake, tell };
  }
}

/** Null for what is no scp. Its options are letters before the first path: `transferOf` has seen to that. */
function scpInvocation(text: string, { kind, paths }: Transfer): ScpInvocation | null {
  if (kind !== 'scp-source' && kind !== 'scp-sink') return null;
  const letters = /^\s*\S+((?:\s+-[A-Za-z]+)*)/.exec(text)?.[1] ?? '';
  return {
    direction: kind === 'scp-sink' ? 'to' : 'from',
    recursive: letters.includes('r'),
    intoDirectory: letters.includes('d'),
    paths,
  };
}
