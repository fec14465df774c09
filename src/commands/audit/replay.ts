import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag } from '../../cli/audit/audit-command.ts';
import { untilInterrupted } from '../../cli/audit/interrupt.ts';
import { paced, parseMoments, parseSpeed } from '../../cli/audit/pace.ts';
import { TranscriptText } from '../../cli/audit/replay.ts';
import { exportCast, play, watch } from '../../cli/audit/ssh-replay.ts';
import { processSurface } from '../../cli/audit/surface.ts';

const speed = Flags.custom<number>({ parse: async (text) => parseSpeed(text) });
const moments = Flags.custom<number>({ parse: async (text) => parseMoments(text) });

export default class AuditReplay extends AuditCommand {
  static override description =
    'show a session again at its own pace: of a database its commands and results, of a server its terminal';
  static override examples = [
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --speed 4 --max-idle 1s --from 1m30s',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --follow   # while it goes on',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --asciicast session.cast',
    '<%= config.bin %> audit replay 01JD0M3V6S9J2Q4W8X5Y7Z1ABC > output   # as it was, without waiting',
  ];
  static override args = { session: Args.string({ description: 'id of the session', required: true }) };
  static override flags = {
    ...dirFlag,
    speed: speed({ description: 'times as fast; 0: no pauses', default: 1 }),
    'max-idle': moments({ description: 'longest pause', default: 2000, defaultHelp: async () => '2s' }),
    from: moments({
      description: 'show what was before this moment at once',
      default: 0,
      defaultHelp: async () => '0s',
    }),
    wait: Flags.boolean({ description: 'keep to the pace', default: true, allowNo: true }),
    follow: Flags.boolean({ description: 'watch the session until it ends', exclusive: ['asciicast'] }),
    channel: Flags.integer({
      description: 'of a server: this channel; the first terminal otherwise',
      min: 1,
    }),
    text: Flags.boolean({ description: 'of a server: the commands and output of all channels, as text' }),
    asciicast: Flags.string({
      description: 'of a server: write the channel into this new file for asciinema; - is stdout',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditReplay);
    const json = this.jsonEnabled();
    const rate = { speed: flags.speed, maxIdleMs: flags['max-idle'], fromMs: flags.from };
    const pace = flags.wait && flags.speed > 0 && !json && !flags.follow ? rate : null;
    return this.withSource(flags, async (source) => {
      const session = await source.session(args.session);
      const signal = untilInterrupted();
      const replay = { source, session, channel: flags.channel ?? null, surface: processSurface(), signal };
      if (session.protocol !== 'ssh' && (flags.asciicast ?? flags.channel) !== undefined)
        this.error('--asciicast and --channel are for sessions of servers', { exit: 2 });
      if (flags.asciicast !== undefined) return exportCast(replay, flags.asciicast, flags['max-idle']);
      if (session.protocol === 'ssh' && !json && !flags.text)
        return flags.follow ? watch(replay) : play(replay, pace);
      const text = new TranscriptText(process.stdout.isTTY ? process.stdout.columns : null);
      const items = flags.follow ? source.followed(session, signal) : source.transcript(session);
      for await (const item of paced(items, pace, signal)) {
        const piece = json ? `${JSON.stringify(item)}\n` : text.take(item);
        if (piece !== '') await this.write(piece);
      }
      return undefined;
    });
  }
}
