import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { rotateLogKey } from '../../relay/rotate.ts';

export default class RelayRotateLogKey extends OperatorCommand {
  static override description =
    'hand the log over to its next key, provably: who knows the old key can follow to the new one';
  static override examples = [
    '<%= config.bin %> relay rotate-log-key',
    '<%= config.bin %> relay rotate-log-key --config /etc/hoop/relay.yaml',
  ];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayRotateLogKey);
    process.umask(0o077);
    const config = await this.relayConfig(flags);
    const rotated = await rotateLogKey(config);
    this.print(`  Handed over in entry ${rotated.entry}`);
    this.print(`    from  ${visible(rotated.from)}`);
    this.print(`    to    ${visible(rotated.to)}`);
    if (rotated.configurationBehind) this.note('  log.nextKey is in force: make it log.key in relay.yaml');
    if (config.log.witnesses.length > 0)
      this.note('  Give the new key to the witnesses: until then they refuse');
    return rotated;
  }
}
