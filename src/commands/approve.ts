import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { RelayCommand } from '../cli/relay-command.ts';
import { decide } from '../cli/reviews/decide.ts';

export default class Approve extends RelayCommand {
  static override description = 'approve a held command; your key signs exactly what is shown';
  static override examples = [
    '<%= config.bin %> approve 01JD4Q3M9RAN8C8A2Z4H5W6X7Y',
    '<%= config.bin %> approve 01JD4Q3M9R --reason "change 4711"',
  ];
  static override args = {
    review: Args.string({ description: 'id, or its first characters (hoop reviews)', required: true }),
  };
  static override flags = {
    reason: Flags.string({ description: 'why, for the record', helpValue: 'TEXT' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Approve);
    return this.withAccount(flags, (account) =>
      decide(this, account, args.review, { decision: 'approve', reason: flags.reason ?? null }),
    );
  }
}
