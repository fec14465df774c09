import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { visible } from '../../cli/colour.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { explainConnect } from '../../relay/explain.ts';

export default class PolicyCheck extends OperatorCommand {
  static override description = 'explain whether somebody may connect to a target, by which policies';
  static override examples = [
    '<%= config.bin %> policy check --as ana@example.com db-prod',
    '<%= config.bin %> policy check --group engineering --reason "ticket 4711" db-prod',
  ];
  static override args = { target: Args.string({ description: 'name of the target', required: true }) };
  static override flags = {
    as: Flags.string({
      description: 'address of a person of the embedded provider, else a subject',
      helpValue: 'USER',
    }),
    group: Flags.string({
      description: 'groups, instead of the person’s own; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
    }),
    kind: Flags.option({ options: ['person', 'service', 'agent'] as const, default: 'person' as const })({
      description: 'kind of principal',
    }),
    from: Flags.string({ description: 'address that the request comes from', default: '127.0.0.1' }),
    at: Flags.string({ description: 'time of the request, RFC 3339; now otherwise', helpValue: 'TIME' }),
    duration: Flags.string({ description: 'duration asked for, such as 1h', helpValue: 'TIME' }),
    reason: Flags.string({ description: 'reason given', helpValue: 'TEXT' }),
    task: Flags.string({ description: 'task given', helpValue: 'NAME' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(PolicyCheck);
    const config = await this.relayConfig(flags);
    const user = await this.personAs(flags, flags.as ?? null);
    const explanation = explainConnect(config, { ...flags, target: args.target, user });
    const { decision, policies, errors } = explanation;
    this.print(`  ${decision}: ${visible(explanation.principal)} → ${args.target}`);
    for (const policy of policies) {
      this.print(`\n  ${policy.effect} ${visible(policy.id)} (${visible(policy.file)}:${policy.line})`);
      for (const line of policy.text.split('\n')) this.print(`    ${visible(line)}`);
    }
    for (const id of errors) this.print(`  failed to evaluate, and so denied: ${visible(id)}`);
    if (decision === 'deny' && policies.length === 0 && errors.length === 0)
      this.print('  no policy permits it (default deny)');
    if (decision === 'deny') process.exitCode = exitCodes.denied;
    return explanation;
  }
}
