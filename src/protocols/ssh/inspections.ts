/** Which inspection a program gets. */
import type { AskedProgram } from './client-channel.ts';
import { FileInspection } from './file-inspection.ts';
import { FileFacts } from './files/file-facts.ts';
import { PlainInspection, type InspectionEnds, type MakeInspection } from './inspection.ts';
import { line } from './notices.ts';
import { SftpExchange } from './sftp/exchange.ts';

/** Of one session: what it remembers is its own. */
export class Inspections {
  readonly #facts = new FileFacts();

  for({ kind, text }: AskedProgram): MakeInspection {
    if (kind === 'subsystem' && text === 'sftp')
      return (ends) => new FileInspection(ends, new SftpExchange(this.#fileOptions(ends)));
    return (ends) => new PlainInspection(ends);
  }

  #fileOptions(ends: InspectionEnds) {
    const { gate, command, toTarget, toClient, awake } = ends;
    const tell = (text: string): void => ends.errorToClient(gate.errorOutput(command, line(text)));
    return { gate, facts: this.#facts, toTarget, toClient, awake, tell };
  }
}
