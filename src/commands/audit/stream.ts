import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag, outcomeFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { untilInterrupted } from '../../cli/audit/interrupt.ts';
import { claimedOrigin } from '../../cli/audit/log-key.ts';
import { destinationOf, streamEvents } from '../../cli/audit/stream.ts';
import { lineFormats } from '../../evidence/export/formats.ts';
import { destinationForms } from '../../relay/streams/address.ts';

export default class AuditStream extends AuditCommand {
  static override description =
    'push the history to a receiver as it happens, at least once; goes on where it stopped';
  static override examples = [
    '<%= config.bin %> audit stream --to syslog+tls://siem.example.com:6514',
    '<%= config.bin %> audit stream --to https://siem.example.com/ingest --token env:SIEM_TOKEN --format ocsf --from 1h',
    '<%= config.bin %> audit stream --to file:/var/log/hoop.jsonl --dir evidence',
  ];
  static override flags = {
    ...dirFlag,
    from: rangeFlags.from,
    person: rangeFlags.person,
    target: rangeFlags.target,
    task: rangeFlags.task,
    ...outcomeFlag,
    to: Flags.string({ description: 'where to', helpValue: destinationForms, required: true }),
    format: Flags.option({
      description: 'default: syslog for syslog+tls, else jsonl',
      options: lineFormats,
    })(),
    cursor: Flags.string({
      description: 'keeps how far it came; default: a file of hoop’s own for this stream',
      helpValue: 'FILE',
    }),
    token: Flags.string({ description: 'bearer token for https', helpValue: 'env:NAME|file:PATH' }),
    'ca-file': Flags.string({ description: 'authority of the receiver’s certificate', helpValue: 'FILE' }),
    'cert-file': Flags.string({
      description: 'client certificate',
      helpValue: 'FILE',
      dependsOn: ['key-file'],
    }),
    'key-file': Flags.string({ description: 'its key', helpValue: 'FILE', dependsOn: ['cert-file'] }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditStream);
    const { token, cursor, format, 'ca-file': caFile, 'cert-file': certFile, 'key-file': keyFile } = flags;
    const to = destinationOf(flags.to);
    return this.withSource(flags, async (source, account) => {
      const log = account?.relay ?? (await claimedOrigin(flags.dir!)) ?? flags.dir!;
      this.note(`streaming to ${to.text}; Ctrl-C ends it`);
      const events = await streamEvents(source, log, {
        to,
        format,
        // `--to` is where to, here.
        query: queryOf({ ...flags, to: undefined }),
        cursor: cursor ?? null,
        secrets: { token, caFile, certFile, keyFile },
        signal: untilInterrupted(),
        say: (line) => this.note(line),
      });
      return { to: to.text, events };
    });
  }
}
