import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { delegateToAgent } from '../agent/session-client.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { parseDuration, timeOfDay } from '../cli/time.ts';

export default class Delegate extends RelayCommand {
  static override description =
    'let an AI agent act for you for a while: prints a token for HOOP_TOKEN of the agent, and nothing else';
  static override examples = [
    'HOOP_TOKEN=$(<%= config.bin %> delegate assistant --for 30m) assistant-cli',
    '<%= config.bin %> delegate assistant --target db-prod --task cleanup-4711 --reason "ticket 4711"',
  ];
  static override args = {
    agent: Args.string({ description: 'name of the agent’s account', required: true }),
  };
  static override flags = {
    for: Flags.string({ description: 'how long, at most 1h', default: '30m', helpValue: 'TIME' }),
    target: Flags.string({
      description: 'only there; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
      helpValue: 'NAME',
    }),
    task: Flags.string({ description: 'only for sessions that name this task', helpValue: 'NAME' }),
    reason: Flags.string({ description: 'why, for the record', helpValue: 'TEXT' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Delegate);
    const durationSeconds = parseDuration(flags.for);
    if (durationSeconds < 60 || durationSeconds > 3600) this.error('--for takes 1m to 1h', { exit: 2 });
    const { target: targets, task = null, reason = null } = flags;
    return this.withAccount(flags, async (account) => {
      const wish = { agent: args.agent, durationSeconds, targets, task, reason };
      const { token, agent, expiresAt } = await delegateToAgent(account, wish);
      this.note(
        `  ${args.agent} acts for you until ${timeOfDay(new Date(expiresAt))}, or until you sign out`,
      );
      this.print(token);
      return { token, agent, targets: targets.length === 0 ? null : targets, task, expiresAt };
    });
  }
}
