import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { askReload } from '../../relay/control.ts';
import { loadPolicies } from '../../relay/policies-in-force.ts';

export default class RelayReload extends OperatorCommand {
  static override description =
    'let the running relay read its policies again, after they have been validated';
  static override examples = [
    '<%= config.bin %> relay reload',
    '<%= config.bin %> relay reload --config /etc/hoop/relay.yaml',
  ];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayReload);
    const config = await this.relayConfig(flags);
    // The relay validates by itself; here every problem can be shown with its place.
    loadPolicies(config).close();
    const reloaded = await askReload(config.dataDir);
    for (const warning of reloaded.warnings) this.note(`  ${warning}`);
    const { changed, policies, sessionsEnded, files } = reloaded;
    this.print(changed ? `  ${policies} policies in force` : '  Nothing has changed');
    for (const file of files) this.print(`    ${visible(file)}`);
    if (sessionsEnded > 0) this.print(`  ${sessionsEnded} sessions ended: they are no longer allowed`);
    return reloaded;
  }
}
