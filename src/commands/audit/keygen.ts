import * as Flags from '@oclif/core/flags';
import { newIdentity } from '../../cli/audit/identity-file.ts';
import { HoopCommand } from '../../cli/command.ts';

export default class AuditKeygen extends HoopCommand {
  static override description =
    'make an auditor’s key: the originals of masked values are sealed to it, and nobody else opens them';
  static override examples = [
    '<%= config.bin %> audit keygen --out auditor.key   # its recipient goes into evidence.seal.recipients',
  ];
  static override flags = {
    out: Flags.string({
      description: 'file for the identity; never overwritten',
      default: 'auditor.key',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditKeygen);
    const { file, recipient } = await newIdentity(flags.out);
    this.print(`  identity   ${file}   (keep it off the relay, and keep a copy)`);
    this.print(`  recipient  ${recipient}`);
    this.note('relay.yaml: evidence: { seal: { recipients: [' + recipient + '] } }');
    return { file, recipient };
  }
}
