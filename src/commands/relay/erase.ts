import * as Flags from '@oclif/core/flags';
import { visible } from '../../cli/colour.ts';
import { scopeFlags, scopeOf, scopeText } from '../../cli/hold-scope.ts';
import { operatorAct, OperatorCommand, reasonFlag } from '../../cli/operator-command.ts';
import { saidYes } from '../../cli/yes.ts';
import { askErasure } from '../../relay/control.ts';

export default class RelayErase extends OperatorCommand {
  static override description =
    'erase recordings of sessions that are over; the log keeps that they were, and every other proof';
  static override examples = [
    '<%= config.bin %> relay erase --session 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --reason "request 4711"',
    '<%= config.bin %> relay erase --person ana@example.com --originals-only --reason "GDPR 17, request 4711" --yes',
  ];
  static override flags = {
    ...scopeFlags,
    'originals-only': Flags.boolean({ description: 'only the sealed originals of masked values' }),
    reason: { ...reasonFlag.reason, required: true },
    yes: Flags.boolean({ char: 'y', description: 'do not ask' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelayErase);
    const scope = scopeOf(flags);
    const what = flags['originals-only'] ? 'originals' : 'recording';
    const config = await this.relayConfig(flags);
    const question = `Erase for ever ${what === 'originals' ? 'the originals' : 'the recordings'} of: ${visible(scopeText(scope))}?`;
    if (!flags.yes && !(await saidYes(question))) return { erased: [], held: [], locked: [] };
    const done = await askErasure(config.dataDir, {
      scope,
      what,
      operator: operatorAct(flags.reason ?? null),
    });
    this.print(`  erased: ${done.erased.length} sessions; the log says so`);
    if (done.held.length > 0)
      this.print(`  kept, since holds protect them: ${done.held.length} (hoop relay hold list)`);
    if (done.locked.length > 0)
      this.print(`  kept, since the archive’s lock protects them: ${done.locked.length}`);
    return done;
  }
}
