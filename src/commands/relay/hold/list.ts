import { scopeText } from '../../../cli/hold-scope.ts';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import { readEntries } from '../../../evidence/read/entries.ts';
import { Kept } from '../../../evidence/read/kept.ts';

export default class RelayHoldList extends OperatorCommand {
  static override description = 'list the holds that forbid erasing';
  static override examples = ['<%= config.bin %> relay hold list'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayHoldList);
    const { evidence } = await this.relayConfig(flags);
    const kept = new Kept();
    for await (const { entry } of readEntries(evidence.directory)) kept.take(entry);
    const { holds } = kept;
    if (holds.length === 0) this.note('no holds');
    else
      this.printTable(
        ['hold', 'placed', 'by', 'what', 'reason'],
        holds.map(({ hold, placedAt, operator, scope }) => [hold, placedAt, operator.account, scopeText(scope), operator.reason]), // prettier-ignore
      );
    return { holds };
  }
}
