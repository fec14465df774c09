import * as Args from '@oclif/core/args';
import {
  loginDocument,
  loginHeads,
  loginRow,
  sessionDocument,
  sessionHeads,
  sessionRow,
} from '../../../cli/live-access.ts';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import { instant, timeOfDay } from '../../../cli/time.ts';

export default class AdminUsersShow extends OperatorCommand {
  static override description = 'show a person: groups, state, live sign-ins and sessions';
  static override examples = ['<%= config.bin %> admin users show ana@example.com'];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersShow);
    return this.withUser(flags, args.email, async (accounts, user, state) => {
      const logins = await accounts.loginsOf(user);
      const ids = new Set(logins.map(({ id }) => id));
      const sessions = (await state.sessions.live()).filter(({ login }) => ids.has(login));
      this.printFacts([
        ['e-mail', user.email],
        ['id', user.id],
        ['groups', user.groups.join(', ')],
        ['state', user.disabled ? 'disabled' : 'enabled'],
        ['added', timeOfDay(new Date(user.createdAtMs))],
      ]);
      if (logins.length > 0)
        this.printTable(
          loginHeads,
          logins.map((login) => loginRow(login, sessions)),
        );
      if (sessions.length > 0) this.printTable(sessionHeads, sessions.map(sessionRow));
      const { id, email, groups, disabled } = user;
      return {
        user: { id, email, groups, disabled, createdAt: instant(user.createdAtMs) },
        logins: logins.map((login) => loginDocument(login, sessions)),
        sessions: sessions.map(sessionDocument),
      };
    });
  }
}
