import * as Args from '@oclif/core/args';
import { operatorAct, OperatorCommand, reasonFlag } from '../../../cli/operator-command.ts';
import { askHold } from '../../../relay/control.ts';

export default class RelayHoldRelease extends OperatorCommand {
  static override description = 'end a hold: what is too old is erased within the hour';
  static override examples = [
    '<%= config.bin %> relay hold release 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --reason "case 4711 is closed"',
  ];
  static override args = { hold: Args.string({ description: 'id of the hold', required: true }) };
  static override flags = { reason: { ...reasonFlag.reason, required: true } };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(RelayHoldRelease);
    const config = await this.relayConfig(flags);
    const hold = await askHold(config.dataDir, {
      hold: args.hold,
      operator: operatorAct(flags.reason ?? null),
    });
    this.print(`  released ${hold}`);
    return { hold };
  }
}
