import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { exitCodes } from '../../cli/exit-codes.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { explanationLines } from '../../cli/policy/explanation.ts';
import { textSurface } from '../../cli/sql-text.ts';
import { Explainer } from '../../relay/explain.ts';

export default class PolicyCheck extends OperatorCommand {
  static override description =
    'explain whether somebody may connect to a target or run a command there, by which policies';
  static override usage = 'policy check TARGET [FLAGS] [-- SQL]';
  static override examples = [
    '<%= config.bin %> policy check --as ana@example.com db-prod',
    '<%= config.bin %> policy check --group engineering --reason "ticket 4711" db-prod',
    '<%= config.bin %> policy check --group engineering db-prod -- "delete from orders where id = 7"',
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
    'auth-age': Flags.string({ description: 'age of the sign-in, such as 10m', helpValue: 'TIME' }),
    acr: Flags.string({ description: 'authentication class of the sign-in' }),
    amr: Flags.string({
      description: 'authentication methods of the sign-in; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<unknown> {
    const dashes = this.argv.indexOf('--');
    const sql = dashes === -1 ? undefined : this.argv.slice(dashes + 1).join(' ');
    const { args, flags } = await this.parse(
      PolicyCheck,
      dashes === -1 ? this.argv : this.argv.slice(0, dashes),
    );
    const config = await this.relayConfig(flags);
    const user = await this.personAs(flags, flags.as ?? null);
    const explainer = await Explainer.open(config);
    const explanation = explainer.explain({
      ...flags,
      authAge: flags['auth-age'],
      target: args.target,
      user,
      sql,
    });
    for (const line of explanationLines(explanation, args.target, textSurface())) this.print(line);
    if (explanation.decision !== 'allow') process.exitCode = exitCodes.denied;
    return explanation;
  }
}
