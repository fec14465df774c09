import { RelayCommand } from '../cli/relay-command.ts';
import { TargetList } from '../wire/api.ts';

export default class Targets extends RelayCommand {
  static override description = 'list the targets that you may see';
  static override examples = ['<%= config.bin %> targets', '<%= config.bin %> targets --json'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Targets);
    return this.withAccount(flags, async ({ client }) => {
      const { targets } = await client.get('/v1/targets', TargetList);
      if (targets.length === 0) this.note('no targets: policy shows you none');
      else
        this.printTable(
          ['target', 'protocol', 'database', 'connect', 'description'],
          targets.map((target) => [
            target.name,
            target.protocol,
            target.database,
            target.allowed ? 'yes' : 'no',
            target.description,
          ]),
        );
      return { targets };
    });
  }
}
