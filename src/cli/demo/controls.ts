/** The tour's steps on what passes only masked, and what passes only when somebody else has said yes. */
import type { Person } from './installation.ts';
import { queryThrough, type Query } from './query.ts';
import type { Screen } from './screen.ts';

/** Where Ana's client connects to. */
export type Through = Omit<Query, 'sql'>;

export const reviewPolicy = `
@id("deletes-are-reviewed") @review("leads")
forbid (principal, action == Action::"execute", resource == Target::"db-prod")
when { context.effects.contains("delete") };

@id("leads-review")
permit (principal in Group::"leads", action in [Action::"review", Action::"unseal"], resource);
`;

/** Goes into `relay.yaml`. */
export const maskingSettings = { rules: [{ name: 'e-mails', detect: ['email'], mode: 'redact' }] };

/** The customer whose e-mail address is planted; as `database.ts` fills the table. */
const customer = 17;
const secret = `customer-${customer}@example.org`;

export async function maskedQuery(screen: Screen, through: Through): Promise<void> {
  screen.step('What must not get out is masked before it leaves the relay');
  const answer = await queryThrough({
    ...through,
    sql: `SELECT name, email FROM customers WHERE id = ${customer}`,
  });
  screen.command('ana', answer.command);
  screen.output(answer.output);
  screen.check(
    answer.output.includes('*****') && !answer.output.includes(secret),
    'the e-mail address is not in the answer',
  );
}

/** Ana's client waits until Lea, in another terminal, has approved exactly this command. */
export async function heldDelete(screen: Screen, lea: Person, through: Through): Promise<void> {
  screen.step('A delete waits for a second pair of eyes');
  const watch = lea.start('reviews', '--watch');
  const sql = `DELETE FROM customers WHERE id = ${customer + 1}`;
  const asked = queryThrough({ ...through, sql });
  const [, review] = await Promise.race([
    watch.says(/hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/),
    asked.then(({ output }) => Promise.reject(new Error(`the delete was not held: ${output}`))),
  ]);
  screen.command('lea', 'hoop reviews --watch');
  screen.output(watch.output);
  await watch.stop('SIGINT');
  screen.command('lea', `hoop approve ${review}`);
  const approved = await lea.hoop('approve', review!);
  screen.output(approved.output);
  const answer = await asked;
  screen.command('ana', answer.command);
  screen.output(answer.output);
  const left = await queryThrough({
    ...through,
    sql: `SELECT count(*) FROM customers WHERE id > ${customer}`,
  });
  screen.check(
    approved.code === 0 && /\b982\b/.test(left.output),
    'her own client waited, and went on when Lea had said yes',
  );
}

/** An auditor, and nobody else, opens what was masked. */
export async function unsealed(
  screen: Screen,
  lea: Person,
  { session, identity }: { session: string; identity: string },
): Promise<void> {
  screen.step('What was masked is sealed to the auditor');
  const args = ['audit', 'unseal', session, '--identity', identity];
  screen.command('lea', `hoop ${args.join(' ')}`);
  const opened = await lea.hoop(...args);
  screen.output(opened.output);
  screen.check(
    opened.code === 0 && opened.stdout.includes(secret),
    'with the auditor’s identity the original opens',
  );
}
