import { runBackground } from '../agent/background.ts';
import { HoopCommand } from '../cli/command.ts';
import { interruption } from '../cli/signals.ts';

export default class Agent extends HoopCommand {
  static override description =
    'the background agent; started by connect --detach, ends when nothing is left';
  static override hidden = true;
  static override examples = ['<%= config.bin %> agent'];

  async run(): Promise<unknown> {
    await this.parse(Agent);
    const ran = await runBackground({
      environment: process.env,
      signal: interruption(),
      ready: () => this.print('ready'),
      log: (line) => this.note(`${new Date().toISOString()} ${line}`),
    });
    if (!ran) this.note(`${new Date().toISOString()} another agent is running`);
    return { ran };
  }
}
