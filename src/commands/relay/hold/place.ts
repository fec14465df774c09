import { scopeFlags, scopeOf } from '../../../cli/hold-scope.ts';
import { operatorAct, OperatorCommand, reasonFlag } from '../../../cli/operator-command.ts';
import { askHold } from '../../../relay/control.ts';

export default class RelayHoldPlace extends OperatorCommand {
  static override description = 'forbid erasing: whatever the configuration says, until the hold is released';
  static override examples = [
    '<%= config.bin %> relay hold place --target db-prod --from 2026-11-01 --reason "case 4711"',
  ];
  static override flags = { ...scopeFlags, reason: { ...reasonFlag.reason, required: true } };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayHoldPlace);
    const scope = scopeOf(flags);
    const config = await this.relayConfig(flags);
    const hold = await askHold(config.dataDir, { scope, operator: operatorAct(flags.reason ?? null) });
    this.print(`  ${hold}`);
    return { hold, scope };
  }
}
