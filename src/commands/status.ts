import { askIfRunning } from '../agent/background-start.ts';
import { directories } from '../agent/directories.ts';
import { HoopCommand } from '../cli/command.ts';
import { documentOf, statusHeads, statusRow } from '../cli/served.ts';

export default class Status extends HoopCommand {
  static override description = 'show the targets that the background agent serves';
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --json'];

  async run(): Promise<unknown> {
    await this.parse(Status);
    const served = await askIfRunning(directories().runtime, { v: 1, op: 'status' });
    if (served.length === 0) this.note('nothing is connected in the background');
    else this.printTable(statusHeads, served.map(statusRow));
    return { served: served.map(documentOf) };
  }
}
