/**
 * The whole product for one test file: a real PostgreSQL, a real relay in front of it (the built binary, its own
 * process), people with computers of their own. `const stage = await startStage(); after(() => stage.close())`.
 *
 * Ana may connect to `db`; Lea reads the record and may end sessions; Mallory has an account and no group.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findPostgres } from '../../src/cli/demo/cluster.ts';
import { hoop, stopAll, type Finished, type Running } from '../../src/cli/demo/hoop.ts';
import {
  environmentOf,
  Installation,
  type InstallationOptions,
  type Person,
} from '../../src/cli/demo/installation.ts';
import { makeAuthority } from './certificates.ts';
import { passwordOf, startPostgres, type PostgresOptions, type PostgresServer } from './postgres.ts';

export { Running, hoop, run, type Finished } from '../../src/cli/demo/hoop.ts';
export type { Person } from '../../src/cli/demo/installation.ts';

const policy = `
@id("engineers-connect") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill"], resource);
`;

export interface StageOptions {
  readonly postgres?: PostgresOptions;
  /** Cedar, instead of the stage's own. */
  readonly policy?: string;
  /** One that runs already, instead; the stage does not stop it. */
  readonly server?: PostgresServer;
  /** More keys of relay.yaml, or others instead. */
  readonly config?: InstallationOptions['config'];
  /** The relay serves https with a certificate of the tests' own authority. */
  readonly tls?: boolean;
  /** Where everything but the database lies; made and removed when absent. */
  readonly directory?: string;
}

export interface Connected {
  readonly port: number;
  readonly session: string;
  readonly running: Running;
  /** PG* variables for a client of this port, and no others. */
  readonly env: NodeJS.ProcessEnv;
  url: string;
}

export interface Stage {
  readonly postgres: PostgresServer;
  readonly installation: Installation;
  readonly directory: string;
  readonly ana: Person;
  readonly lea: Person;
  readonly mallory: Person;
  /** `hoop connect db FLAGS` in the foreground, by Ana unless told otherwise. */
  connect(flags?: readonly string[], person?: Person): Promise<Connected>;
  /** `hoop audit verify` of the relay's own directory, by somebody without an account. */
  verify(): Promise<Finished>;
  close(): Promise<void>;
}

export async function startStage(options: StageOptions = {}): Promise<Stage> {
  const directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'hoop-stage-'));
  const postgres = options.server ?? (await startPostgres(options.postgres));
  const remove = () => {
    if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', remove);
  const close = async () => {
    await stopAll();
    if (options.server === undefined) await postgres.stop();
    process.off('exit', remove);
    remove();
  };
  try {
    return { ...(await people(directory, postgres, options)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function people(
  directory: string,
  postgres: PostgresServer,
  options: StageOptions,
): Promise<Omit<Stage, 'close'>> {
  const address = { host: '127.0.0.1', port: postgres.port, database: 'app', user: 'app' };
  const tls = options.tls ? await certificate(path.join(directory, 'tls')) : null;
  const installation = await Installation.create({
    directory,
    targets: { db: { ...address, databases: 'any', password: passwordOf('app') } },
    policy: options.policy ?? policy,
    config: { ...(tls === null ? {} : { tls: tls.files }), ...options.config },
    ...(tls === null ? {} : { caFile: tls.caFile }),
  });
  const [ana, lea, mallory] = await Promise.all([
    installation.addPerson('ana', 'ana@example.com', ['engineering']),
    installation.addPerson('lea', 'lea@example.com', ['leads']),
    installation.addPerson('mallory', 'mallory@example.com', []),
  ]);
  await installation.start();
  await ana.login(installation.url);
  return {
    postgres,
    installation,
    directory,
    ana,
    lea,
    mallory,
    connect: (flags = [], person = ana) => connect(person, flags),
    verify: () => verifyInstallation(installation),
  };
}

async function certificate(directory: string) {
  const authority = await makeAuthority(directory);
  return { caFile: authority.caFile, files: await authority.issue('localhost', ['localhost', '127.0.0.1']) };
}

async function connect(person: Person, flags: readonly string[]): Promise<Connected> {
  const running = person.start('connect', 'db', ...flags);
  const [, port] = await running.says(/port=(\d+)/);
  const [session] = await running.says(/\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/);
  const env = {
    PATH: `${findPostgres()}${path.delimiter}${process.env['PATH']}`,
    HOME: person.env['HOME'],
    PGHOST: '127.0.0.1',
    PGPORT: port,
    PGUSER: 'ana',
    PGDATABASE: 'app',
  };
  return { port: Number(port), session, running, env, url: `postgres://ana@127.0.0.1:${port}/app` };
}

/** The key is the one that the relay's log is signed with, as an auditor would have got it before. */
export async function verifyInstallation(
  installation: Installation,
  ...flags: readonly string[]
): Promise<Finished> {
  const discovery = await installation.fetch(new URL('/.well-known/hoop', installation.url));
  const { log } = JSON.parse(await discovery.text());
  const args = ['audit', 'verify', installation.evidence, '--vkey', String(log.vkey), ...flags];
  return hoop(args, { env: environmentOf(path.join(installation.directory, 'auditor')) });
}
