import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag } from '../../cli/audit/audit-command.ts';
import { untilInterrupted } from '../../cli/audit/interrupt.ts';
import { paced, TranscriptText } from '../../cli/audit/replay.ts';

export default class AuditReplay extends AuditCommand {
  static override description = 'show a session again: its commands and what came back, at their own pace';
  static override examples = [
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --speed 4 --max-idle 1',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --no-wait',
  ];
  static override args = { session: Args.string({ description: 'id of the session', required: true }) };
  static override flags = {
    ...dirFlag,
    speed: Flags.integer({ description: 'times as fast', default: 1, min: 1, max: 1000 }),
    'max-idle': Flags.integer({ description: 'longest pause, in seconds', default: 2, min: 0 }),
    wait: Flags.boolean({ description: 'keep to the pace', default: true, allowNo: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditReplay);
    const json = this.jsonEnabled();
    const pace = flags.wait && !json ? { speed: flags.speed, maxIdleMs: flags['max-idle'] * 1000 } : null;
    return this.withSource(flags, async (source) => {
      const session = await source.session(args.session);
      const text = new TranscriptText(process.stdout.isTTY ? process.stdout.columns : null);
      for await (const item of paced(source.transcript(session), pace, untilInterrupted())) {
        const piece = json ? `${JSON.stringify(item)}\n` : text.take(item);
        if (piece !== '') await this.write(piece);
      }
      return undefined;
    });
  }
}
