import * as Flags from '@oclif/core/flags';
import { colour, visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { OperatorError } from '../../cli/operator-error.ts';
import { checkRelay } from '../../relay/check.ts';

const marks = { ok: colour.green('ok'), warning: colour.yellow('warning'), failed: colour.red('failed') };

export default class RelayCheck extends OperatorCommand {
  static override description = 'validate configuration, policies, keys, certificates and credentials';
  static override examples = [
    '<%= config.bin %> relay check --config /etc/hoop/relay.yaml',
    '<%= config.bin %> relay check --connect',
  ];
  static override flags = {
    connect: Flags.boolean({ description: 'also reach every target, without signing in there' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayCheck);
    const config = await this.relayConfig(flags);
    this.print(
      `  ${marks.ok}  configuration: ${visible(config.source.file)}, ${config.targets.size} ${config.targets.size === 1 ? 'target' : 'targets'}`,
    );
    const checks = await checkRelay(config, flags);
    for (const { subject, state, message } of checks)
      this.print(`  ${marks[state]}  ${visible(subject)}: ${visible(message)}`);
    const failed = checks.filter(({ state }) => state === 'failed').length;
    const result = { configuration: config.source, ok: failed === 0, checks };
    if (failed === 0) return result;
    if (this.jsonEnabled()) {
      this.logJson(result);
      this.exit(2);
    }
    throw new OperatorError('relay-check-failed', `${failed} of ${checks.length} checks failed`);
  }
}
