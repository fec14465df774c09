/**
 * The tour: everything the product is for, once, on this machine, with the real programs. Each step shows what a
 * person would type and its true output, and checks what it claims.
 *
 * Order: a database, a relay and two people → both sign in → Ana queries; an e-mail address is masked; a delete waits until
 * Lea approves → Lea reads the record, and opens what was masked → an auditor verifies it offline → one byte is changed
 * and the auditor finds it. Invariant: when `close` has resolved nothing is left behind.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exitCodes } from '../exit-codes.ts';
import { heldDelete, maskedQuery, maskingSettings, reviewPolicy, unsealed } from './controls.ts';
import { startDatabase, type Database, type DatabaseKind } from './database.ts';
import { hoop, stopAll, type Finished } from './hoop.ts';
import { environmentOf, Installation, type Person } from './installation.ts';
import { queryThrough } from './query.ts';
import type { Screen } from './screen.ts';

const policy = `// Who may do what; nobody may do anything that no rule permits.
@id("engineers-connect")
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource == Target::"db-prod");

@id("leads-read-the-record")
permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill"], resource);
${reviewPolicy}`;

interface People {
  readonly ana: Person;
  readonly lea: Person;
}

export class Tour {
  readonly #screen: Screen;
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'hoop-demo-'));
  #run: Promise<unknown> = Promise.resolve();
  #database: Database | null = null;

  readonly #kind: DatabaseKind;

  constructor(screen: Screen, kind: DatabaseKind) {
    this.#screen = screen;
    this.#kind = kind;
  }

  get directory(): string {
    return this.#directory;
  }

  /** Every step; what does not hold is in `screen.failed`. Throws only when a step cannot be done at all. */
  run(): Promise<People & { relay: string }> {
    const run = this.#steps();
    this.#run = run;
    return run;
  }

  async #steps(): Promise<People & { relay: string }> {
    const installation = await this.#prepare();
    const people = await this.#startRelay(installation);
    await this.#signIn(people.ana, installation.url, 'Ana');
    await this.#signIn(people.lea, installation.url, 'Lea');
    await this.#query(people);
    const session = await this.#readRecord(people.lea);
    await unsealed(this.#screen, people.lea, { session, identity: this.#identity });
    await this.#verify(people.lea, session);
    return { ...people, relay: installation.url };
  }

  /** Ends the background agents that somebody may have started who tried things on. */
  async disconnect({ ana, lea }: People): Promise<void> {
    await Promise.all([ana, lea].map((person) => person.hoop('disconnect', '--all')));
  }

  /** Ends everything that was started and removes everything that was written. Idempotent. */
  async close(): Promise<void> {
    await stopAll();
    await this.#run.catch(() => {}); // a step in the middle finds its programs ended, and starts nothing more
    await stopAll();
    await this.#database?.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #prepare(): Promise<Installation> {
    const screen = this.#screen;
    screen.step('A database, and a relay in front of it');
    this.#database = await startDatabase(this.#kind);
    screen.note(`db-prod is ${this.#database.label}; only the relay knows its password.`);
    const { label: _, stop: __, ...address } = this.#database;
    const targets = { 'db-prod': address };
    screen.command('auditor', `hoop audit keygen --out ${this.#identity}`);
    const keygen = await hoop(['audit', 'keygen', '--out', this.#identity, '--json'], this.#auditor);
    const { recipient } = JSON.parse(keygen.stdout) as { recipient: string };
    screen.output(`recipient  ${recipient}`);
    const config = { masking: maskingSettings, evidence: { seal: { recipients: [recipient] } } };
    return Installation.create({ directory: this.#directory, targets, policy, config });
  }

  get #identity(): string {
    return path.join(this.#directory, 'auditor.key');
  }

  get #auditor(): { env: NodeJS.ProcessEnv } {
    return { env: environmentOf(path.join(this.#directory, 'auditor')) };
  }

  async #startRelay(installation: Installation): Promise<People> {
    const screen = this.#screen;
    const config = installation.configFile;
    screen.command('operator', `hoop admin users add ana@example.com --group engineering --config ${config}`);
    const ana = await installation.addPerson('ana', 'ana@example.com', ['engineering']);
    screen.command('operator', `hoop admin users add lea@example.com --group leads --config ${config}`);
    const lea = await installation.addPerson('lea', 'lea@example.com', ['leads']);
    screen.command('operator', `hoop relay start --config ${config}`);
    await installation.start();
    screen.check(true, `the relay answers at ${installation.url}`);
    return { ana, lea };
  }

  async #signIn(person: Person, relay: string, name: string): Promise<void> {
    const screen = this.#screen;
    screen.step(`${name} signs in`);
    screen.command(name.toLowerCase(), `hoop login ${relay} --no-browser`);
    const login = await person.login(relay);
    screen.output(login.output);
    screen.note(
      '(The tour did in a browser’s place what the page asked for: e-mail, password, confirmation.)',
    );
    const me = await person.hoop('whoami');
    screen.command(name.toLowerCase(), 'hoop whoami');
    screen.output(me.stdout);
    screen.check(me.code === 0 && me.stdout.includes(person.email), `signed in as ${person.email}`);
  }

  async #query({ ana, lea }: People): Promise<void> {
    const screen = this.#screen;
    screen.step('Ana uses the database with her own tools');
    const targets = await this.#show('ana', ana, ['targets']);
    screen.check(targets.stdout.includes('db-prod'), 'she sees the target that her group may use');

    screen.command('ana', 'hoop connect db-prod --reason "ticket 4711"');
    const connect = ana.start('connect', 'db-prod', '--reason', 'ticket 4711');
    const [, port] = await connect.says(/port=(\d+)/);
    screen.output(connect.output);
    const sql = 'SELECT city, count(*) FROM customers GROUP BY city ORDER BY city';
    const through = { port: Number(port), user: 'ana', database: this.#database!.database };
    const answer = await queryThrough({ ...through, sql });
    screen.command('ana', answer.command);
    screen.output(answer.output);
    screen.check(
      /Accra\D+250/.test(answer.output),
      'rows came back through the relay, without a database password',
    );
    await maskedQuery(screen, through);
    await heldDelete(screen, lea, through);
    await connect.stop('SIGINT');
    screen.note('Ctrl-C ends the session.');

    if (answer.psql === null) return;
    const once = [
      'connect',
      'db-prod',
      '--',
      answer.psql,
      '-X',
      '-c',
      "UPDATE customers SET city = 'Kyoto' WHERE id = 1",
    ];
    screen.command('ana', `hoop connect db-prod -- psql -X -c "${once.at(-1)}"`);
    const update = await ana.hoop(...once);
    screen.output(update.output);
    screen.check(update.code === 0 && update.stdout.includes('UPDATE 1'), 'one command, one session');
  }

  async #readRecord(lea: Person): Promise<string> {
    const screen = this.#screen;
    screen.step('Lea, a lead, reads what was done');
    const sessions = await this.#show('lea', lea, ['audit', 'sessions']);
    // ULIDs sort by time: the first is the one in which she used her own tools.
    const ids = sessions.stdout.match(/\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/g) ?? [];
    const session = ids.toSorted()[0] ?? '';
    screen.check(session !== '' && sessions.stdout.includes('ana@example.com'), 'Ana’s sessions are listed');
    await this.#show('lea', lea, ['audit', 'show', session]);
    const csv = await this.#show('lea', lea, ['audit', 'export', '--format', 'csv']);
    screen.check(csv.stdout.includes('SELECT city, count(*)'), 'her exact statement is in the export');
    const refused = await lea.hoop('connect', 'db-prod');
    screen.command('lea', 'hoop connect db-prod');
    screen.output(refused.stderr);
    screen.check(refused.code === exitCodes.denied, 'reading the record does not open the database');
    return session;
  }

  async #verify(lea: Person, session: string): Promise<void> {
    const screen = this.#screen;
    screen.step('An auditor verifies the record, offline');
    const bundle = path.join(this.#directory, 'for-the-auditor');
    await this.#show('lea', lea, ['audit', 'export', '--out', bundle]);
    screen.note('The auditor has these files and the log’s public key; no relay, no account, no network.');
    const verify = async (): Promise<Finished> => {
      const args = ['audit', 'verify', bundle, '--vkey-file', path.join(bundle, 'vkey')];
      screen.command('auditor', `hoop ${args.join(' ')}`);
      const result = await hoop(args, this.#auditor);
      screen.output(result.output);
      return result;
    };
    screen.check((await verify()).code === exitCodes.done, 'nothing was changed, removed or reordered');

    screen.step('Somebody changes one byte of a recording');
    const file = recordingOf(bundle, session);
    const bytes = readFileSync(file);
    const middle = bytes.length >> 1;
    bytes[middle]! ^= 1;
    writeFileSync(file, bytes);
    screen.note(`byte ${middle} of ${path.relative(bundle, file)}`);
    const found = await verify();
    const named = found.stdout.includes(session) || found.stderr.includes(session);
    screen.check(
      found.code === exitCodes.verificationFailed && named,
      'verify refuses it and names the recording',
    );
    bytes[middle]! ^= 1;
    writeFileSync(file, bytes);
    screen.note('The byte is put back.');
    screen.check((await verify()).code === exitCodes.done, 'and the record holds again');
  }

  async #show(name: string, person: Person, args: readonly string[]): Promise<Finished> {
    this.#screen.command(name, `hoop ${args.join(' ')}`);
    const result = await person.hoop(...args);
    this.#screen.output(result.output);
    this.#screen.check(result.code === 0, `hoop ${args.slice(0, 2).join(' ')} ends with 0`);
    return result;
  }
}

/** The first segment of a session in an export. */
function recordingOf(bundle: string, session: string): string {
  const files = readdirSync(bundle, { recursive: true, encoding: 'utf8' });
  const first = files.filter((name) => name.includes(session) && /\.cbor(\.zst)?$/.test(name)).toSorted()[0];
  if (first === undefined) throw new Error(`the export holds no recording of ${session}`);
  return path.join(bundle, first);
}
