import * as Args from '@oclif/core/args';
import { colour, visible } from '../../cli/colour.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { runPolicyTests } from '../../relay/policy-tests.ts';

export default class PolicyTest extends OperatorCommand {
  static override description =
    'compare what policies decide with what a file expects; exit code 6 when they differ';
  static override examples = ['<%= config.bin %> policy test expectations.yaml --config relay.yaml'];
  static override args = {
    file: Args.string({ description: 'YAML or JSON file of expectations (docs/policy.md)', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(PolicyTest);
    const tests = await runPolicyTests(await this.relayConfig(flags), args.file);
    for (const { name, line, passed, differences } of tests) {
      const mark = passed ? colour.green('ok') : colour.red('failed');
      this.print(`  ${mark}  ${visible(name)}`);
      for (const difference of differences)
        this.print(`      ${visible(args.file)}:${line}: ${visible(difference)}`);
    }
    const failed = tests.filter(({ passed }) => !passed).length;
    this.print(failed === 0 ? `  ${tests.length} as expected` : `  ${failed} of ${tests.length} failed`);
    if (failed > 0) process.exitCode = exitCodes.verificationFailed;
    return { passed: tests.length - failed, failed, tests };
  }
}
