import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { nameOf } from '../../../cli/person.ts';
import { operatorAct, OperatorCommand, reasonFlag, signInElsewhere } from '../../../cli/operator-command.ts';
import { OperatorError } from '../../../cli/operator-error.ts';

export default class AdminLoginsEnd extends OperatorCommand {
  static override description =
    'end a sign-in and its sessions; its key and refresh token are worth nothing afterwards';
  static override examples = [
    '<%= config.bin %> admin logins end 01JD4Q3M9RAN8C8A2Z4H5W6X7Y --reason "laptop stolen"',
    '<%= config.bin %> admin logins end --of ana@example.com',
  ];
  static override args = {
    login: Args.string({ description: 'id of the sign-in (hoop admin logins list)' }),
  };
  static override flags = {
    of: Flags.string({ description: 'all of this person: e-mail address or subject', helpValue: 'PERSON' }),
    ...reasonFlag,
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminLoginsEnd);
    if ((args.login === undefined) === (flags.of === undefined))
      this.error('name one sign-in, or a person with --of', { exit: 2 });
    return this.withState(flags, async (state, config) => {
      const of = flags.of?.toLowerCase();
      const chosen = (await state.logins.live()).filter(({ id, principal: { email, subject } }) =>
        of === undefined ? id === args.login : email?.toLowerCase() === of || subject === flags.of,
      );
      if (chosen.length === 0)
        throw new OperatorError('login-unknown', 'there is no live sign-in of this id or person', {
          hint: 'see: hoop admin logins list',
        });
      for (const login of chosen) {
        // First the login, which counts at once; then what it could come back with.
        await state.logins.endByOperator(login.id, operatorAct(flags.reason ?? null));
        await state.artefacts.removeBoundTo(login.jkt);
        if (login.parent !== null) await state.delegations.removeOf(login.parent, login.principal.subject);
        this.print(`  Ended ${login.id} of ${nameOf(login.principal)}`);
      }
      const elsewhere = signInElsewhere(config.identity);
      if (elsewhere !== null)
        this.note(`hoop: end the session at ${elsewhere} too, or the person can sign in again`);
      return { logins: chosen.map(({ id }) => id) };
    });
  }
}
