import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { confirmed } from '../../cli/confirm.ts';
import { sshTarget } from '../../cli/ssh-target.ts';
import { nextUntrusted, trust } from '../../relay/trust.ts';

export default class RelayTrust extends OperatorCommand {
  static override description = 'show the host key of an SSH target, and pin it';
  static override examples = [
    '<%= config.bin %> relay trust server',
    '<%= config.bin %> relay trust server --fingerprint SHA256:uNiVztksCsDhcc0u9e8BrwBcoFRy1FWr1S5VCgbBA0s',
  ];
  static override args = { target: Args.string({ description: 'name of the target', required: true }) };
  static override flags = {
    fingerprint: Flags.string({
      description: 'pin it without asking, if this is the key that it shows (ssh-keygen -l)',
      helpValue: 'SHA256:…',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(RelayTrust);
    const config = await this.relayConfig(flags);
    const target = sshTarget(config, args.target);
    const trusted = [];
    for (;;) {
      const shown = await nextUntrusted(config, target);
      if (shown === null) break;
      const server = `${visible(shown.host)}:${shown.port}`;
      this.note(`  ${server} shows ${shown.key.split(' ')[0]} ${shown.fingerprint}`);
      if (shown.state === 'changed') this.note('  This is NOT the key that is pinned now.');
      await confirmed(shown, flags.fingerprint ?? null);
      await trust(config, target, shown);
      trusted.push({ host: shown.host, port: shown.port, fingerprint: shown.fingerprint });
      this.print(`  Pinned ${shown.fingerprint} for ${server}`);
    }
    if (trusted.length === 0) this.print(`  ${visible(target.name)} shows the key that is pinned`);
    return { target: target.name, trusted };
  }
}
