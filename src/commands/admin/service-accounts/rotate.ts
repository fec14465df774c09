import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import {
  credentialFlags,
  credentialLines,
  credentialOf,
  instantOf,
  spanMs,
} from '../../../cli/service-account.ts';

export default class AdminServiceAccountsRotate extends OperatorCommand {
  static override description = 'give an account another key or secret; the old one goes on for a while';
  static override examples = [
    '<%= config.bin %> admin service-accounts rotate nightly --key-file nightly-2.key --overlap 1h',
    '<%= config.bin %> admin service-accounts rotate reporter --secret --overlap 0s',
  ];
  static override args = {
    name: Args.string({ description: 'name of the account', required: true }),
  };
  static override flags = {
    ...credentialFlags,
    overlap: Flags.string({
      description: 'how long the old one is valid beside it; 0s also ends what signed in by it',
      default: '24h',
      helpValue: 'TIME',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminServiceAccountsRotate);
    const overlapMs = spanMs(flags.overlap);
    return this.withServiceAccount(flags, args.name, async (accounts, account) => {
      const made = await credentialOf(flags);
      if (made === null) this.error('by what? --key-file, --public-key or --secret', { exit: 2 });
      await accounts.rotate(account, made.credential, overlapMs);
      const until = overlapMs === 0 ? null : instantOf(Date.now() + overlapMs);
      this.print(`  ${account.name} has another ${made.credential.kind}`);
      for (const line of credentialLines(made)) this.print(line);
      this.print(until === null ? '  The old one is invalid' : `  The old one is valid until ${until}`);
      const { id, name } = account;
      return { id, name, oldValidUntil: until, ...(made.secret !== null && { secret: made.secret }) };
    });
  }
}
