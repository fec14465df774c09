import * as Flags from '@oclif/core/flags';
import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { crashSafely, runUntilStopped } from '../../relay/drain.ts';
import { createLogger } from '../../relay/logging.ts';
import { loadWitnessConfig } from '../../relay/witness/config.ts';
import { startWitness } from '../../relay/witness/server.ts';

export default class RelayWitness extends OperatorCommand {
  static override description =
    'run a witness (C2SP tlog-witness): it cosigns checkpoints of the logs it knows, and none that takes anything back';
  static override examples = ['<%= config.bin %> relay witness --config /etc/hoop/witness.yaml'];
  static override flags = {
    config: Flags.string({ description: 'witness.yaml', required: true, helpValue: 'FILE' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayWitness);
    process.umask(0o077);
    const config = loadWitnessConfig(flags.config);
    const logger = createLogger('info');
    const witness = await startWitness(config, { logger });
    crashSafely(logger);
    this.print(
      `  Witness ready at ${witness.url} · ${config.logs.size} ${config.logs.size === 1 ? 'log' : 'logs'}`,
    );
    this.print(`  vkey  ${visible(witness.vkey)}`);
    await runUntilStopped({
      log: logger,
      reload: async () => undefined,
      stop: () => witness.close(),
      ended: new Promise(() => undefined),
    });
    return { vkey: witness.vkey, url: witness.url, stopped: true };
  }
}
