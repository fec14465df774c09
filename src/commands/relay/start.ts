import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { crashSafely, runUntilStopped } from '../../relay/drain.ts';
import { startRelay } from '../../relay/relay.ts';

export default class RelayStart extends OperatorCommand {
  static override description = 'run a relay in the foreground; its log goes to stderr as JSON lines';
  static override examples = [
    '<%= config.bin %> relay start',
    '<%= config.bin %> relay start --config /etc/hoop/relay.yaml',
  ];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayStart);
    // Whatever is written from here on (evidence, state, keys) is its owner's alone.
    process.umask(0o077);
    const config = await this.relayConfig(flags);
    const relay = await startRelay(config);
    crashSafely(relay.log);
    this.print(`  Relay ready at ${relay.url} · configuration ${visible(config.source.file)}`);
    if (config.targets.size === 0)
      this.print('  No target yet: add one there, permit somebody in the policy, and start again');
    await runUntilStopped({
      log: relay.log,
      reload: () => relay.reload(),
      stop: async (hurry) => {
        await relay.stop(hurry);
      },
      ended: new Promise(() => undefined),
    });
    return { url: relay.url, stopped: true };
  }
}
