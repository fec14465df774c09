import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import { OperatorError } from '../../../cli/operator-error.ts';
import {
  accountDocument,
  credentialFlags,
  credentialLines,
  credentialOf,
  spanMs,
} from '../../../cli/service-account.ts';

export default class AdminServiceAccountsCreate extends OperatorCommand {
  static override description =
    'create an account for a program, or for an AI agent that people let act for them';
  static override examples = [
    '<%= config.bin %> admin service-accounts create nightly --group jobs --key-file nightly.key',
    '<%= config.bin %> admin service-accounts create reporter --group reporting --secret --expires 90d',
    '<%= config.bin %> admin service-accounts create assistant --kind agent --group assistants',
  ];
  static override args = {
    name: Args.string({ description: 'name of the account', required: true }),
  };
  static override flags = {
    ...credentialFlags,
    group: Flags.string({
      description: 'group for policy; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      helpValue: 'NAME',
    }),
    kind: Flags.option({ options: ['service', 'agent'] as const, default: 'service' as const })({
      description: 'an agent needs no key where it only acts for people',
    }),
    expires: Flags.string({ description: 'how long it may sign in, such as 90d', helpValue: 'TIME' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminServiceAccountsCreate);
    const { kind, group: groups } = flags;
    const expiresAtMs = flags.expires === undefined ? null : Date.now() + spanMs(flags.expires);
    const wanted = { name: args.name, kind, groups, expiresAtMs };
    return this.withServiceAccounts(flags, async (accounts) => {
      accounts.check(wanted);
      if ((await accounts.byName(args.name)) !== null) throw taken(args.name);
      const made = await credentialOf(flags);
      if (made === null && kind === 'service')
        this.error('how does it sign in? --key-file, --public-key or --secret', { exit: 2 });
      const account = await accounts.add(wanted, made?.credential ?? null);
      if (account === null) throw taken(args.name);
      this.print(`  Created ${account.name}, ${kind} (${account.groups.join(', ')})`);
      for (const line of made === null ? [] : credentialLines(made)) this.print(line);
      const secret = made?.secret ?? null;
      return { ...accountDocument(account), ...(secret !== null && { secret }) };
    });
  }
}

const taken = (name: string): OperatorError =>
  new OperatorError('service-account-exists', `there is a service account ${name} already`, {
    hint: `give it another key with: hoop admin service-accounts rotate ${name}`,
  });
