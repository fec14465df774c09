import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { killSession } from '../../agent/session-client.ts';
import { RelayCommand } from '../../cli/relay-command.ts';

export default class SessionsKill extends RelayCommand {
  static override description = 'end a live session now; your key signs it and the record keeps it';
  static override examples = [
    '<%= config.bin %> sessions kill 01JD4Q3M9RAN8C8A2Z4H5W6X7Y --reason "wrong database"',
  ];
  static override args = {
    session: Args.string({ description: 'id of the session (hoop sessions list)', required: true }),
  };
  static override flags = {
    reason: Flags.string({ description: 'why, for the record', helpValue: 'TEXT' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(SessionsKill);
    return this.withAccount(flags, async (account) => {
      await killSession(account, args.session, flags.reason ?? null);
      this.print(`  Ended ${args.session}`);
      return { session: args.session, killed: true };
    });
  }
}
