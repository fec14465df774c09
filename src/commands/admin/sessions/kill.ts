import { setTimeout as pause } from 'node:timers/promises';
import * as Args from '@oclif/core/args';
import { operatorAct, OperatorCommand, reasonFlag } from '../../../cli/operator-command.ts';
import { OperatorError } from '../../../cli/operator-error.ts';
import { isSessionId } from '../../../model/ids.ts';
import { ControlError } from '../../../relay/control.ts';

/** A relay looks twice a second. */
const patienceMs = 5000;

export default class AdminSessionsKill extends OperatorCommand {
  static override description =
    'end a live session, without being signed in; the record says that an operator did it';
  static override examples = [
    '<%= config.bin %> admin sessions kill 01JD4Q3M9RAN8C8A2Z4H5W6X7Y --reason "laptop stolen"',
  ];
  static override args = {
    session: Args.string({ description: 'id of the session (hoop admin sessions list)', required: true }),
  };
  static override flags = reasonFlag;

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminSessionsKill);
    const { session: id } = args;
    return this.withState(flags, async ({ sessions }) => {
      const found = isSessionId(id) ? await sessions.find(id) : null;
      if (found === null || found.closedAtMs !== null)
        throw new OperatorError('session-not-live', 'there is no live session of this id', {
          hint: 'see: hoop admin sessions list',
        });
      // Somebody may have asked already; it is waited for all the same.
      await sessions.requestKillByOperator(found.id, operatorAct(flags.reason ?? null));
      const until = performance.now() + patienceMs;
      while ((await sessions.find(found.id))?.closedAtMs === null) {
        if (performance.now() > until)
          throw new ControlError('relay-not-running', `no relay has ended session ${id} yet`, {
            hint: 'it is marked, and ends as soon as the relay that holds it looks; does it run?',
          });
        await pause(50);
      }
      this.print(`  Ended ${id}`);
      return { session: id, killed: true };
    });
  }
}
