import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { untilInterrupted } from '../../cli/audit/interrupt.ts';
import { parsePatternArgument, showSearch } from '../../cli/audit/search.ts';
import { searchKinds } from '../../wire/search.ts';

export default class AuditSearch extends AuditCommand {
  static override description =
    'find a text or a /pattern/ in recordings: commands, parameters, output; exit code 7 when nothing was found';
  static override examples = [
    "<%= config.bin %> audit search 'drop table' --from 7d",
    "<%= config.bin %> audit search '/rm -rf? \\/srv/' --kind command --target web-1",
    '<%= config.bin %> audit search ana@example.com --kind output --ignore-case --context 2',
  ];
  static override args = {
    text: Args.string({ description: 'text, or /pattern/ (docs/cli.md#searching)', required: true }),
  };
  static override flags = {
    ...dirFlag,
    ...rangeFlags,
    session: Flags.string({ description: 'in this session' }),
    kind: Flags.option({
      description: 'only here; repeat for several',
      options: searchKinds,
      multiple: true,
      multipleNonGreedy: true,
    })(),
    'ignore-case': Flags.boolean({ description: 'upper and lower case are the same', default: false }),
    context: Flags.integer({ description: 'lines shown before and after', min: 0, max: 20, default: 0 }),
    limit: Flags.integer({ description: 'lines found, at most', min: 1, max: 100_000, default: 1000 }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditSearch);
    const pattern = parsePatternArgument(args.text);
    const query = {
      ...queryOf(flags),
      ...pattern,
      ignoreCase: pattern.ignoreCase || flags['ignore-case'],
      kinds: flags.kind ?? [...searchKinds],
      context: flags.context,
      limit: flags.limit,
    };
    return this.withSource(flags, async (source) => {
      const signal = untilInterrupted();
      const output = {
        json: this.jsonEnabled(),
        context: flags.context > 0,
        write: (text: string) => this.write(text),
        note: (line: string) => this.note(line),
      };
      process.exitCode = await showSearch(source.search(query, signal), output, signal);
      return undefined;
    });
  }
}
