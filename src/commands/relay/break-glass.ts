import { userInfo } from 'node:os';
import * as Flags from '@oclif/core/flags';
import { visible } from '../../cli/colour.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { parseDuration, timeOfDay } from '../../cli/time.ts';
import { askBreakGlass } from '../../relay/control.ts';

export default class RelayBreakGlass extends OperatorCommand {
  static override description =
    'let named people in for a while although the disk of the record is full; recorded into the space held back';
  static override examples = [
    '<%= config.bin %> relay break-glass --person ana@example.com --reason "orders are down, INC-4711"',
    '<%= config.bin %> relay break-glass --person sub:00u1a2b3 --for 5m --reason INC-4711',
  ];
  static override flags = {
    person: Flags.string({
      description: 'address (embedded provider), or sub:SUBJECT; repeat it for more',
      helpValue: 'WHO',
      multiple: true,
      required: true,
    }),
    reason: Flags.string({ description: 'why, for the record', helpValue: 'TEXT', required: true }),
    for: Flags.string({ description: 'how long, at most 4h', helpValue: 'TIME', default: '15m' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayBreakGlass);
    const config = await this.relayConfig(flags);
    const opened = await askBreakGlass(config.dataDir, {
      reason: flags.reason,
      operator: operator(),
      people: flags.person,
      forSeconds: parseDuration(flags.for),
    });
    this.print(`  Open until ${timeOfDay(new Date(opened.expires))} at most, for`);
    for (const person of flags.person) this.print(`    ${visible(person)}`);
    this.note(
      `  ${Math.floor(opened.bytes / 2 ** 20)} MiB are left for their record; then their sessions end`,
    );
    this.note('  The record, the log and the metrics say so. Make room now');
    return opened;
  }
}

/** Whoever runs this, for the record; behind sudo, who that was. */
function operator(): string {
  const { username } = userInfo();
  const behind = process.env['SUDO_USER'];
  return behind === undefined ? username : `${username} (${behind})`;
}
