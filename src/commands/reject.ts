import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { RelayCommand } from '../cli/relay-command.ts';
import { decide } from '../cli/reviews/decide.ts';

export default class Reject extends RelayCommand {
  static override description = 'reject a held command: its client gets an error with your reason';
  static override examples = [
    '<%= config.bin %> reject 01JD4Q3M9RAN8C8A2Z4H5W6X7Y --reason "add a condition"',
  ];
  static override args = {
    review: Args.string({ description: 'id, or its first characters (hoop reviews)', required: true }),
  };
  static override flags = {
    reason: Flags.string({
      description: 'why; the person who waits reads it',
      helpValue: 'TEXT',
      required: true,
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Reject);
    return this.withAccount(flags, (account) =>
      decide(this, account, args.review, { decision: 'reject', reason: flags.reason }),
    );
  }
}
