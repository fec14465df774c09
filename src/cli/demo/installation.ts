/**
 * A relay of one's own in one directory, with people who each have a computer (a home directory) of their own. All
 * through the real binary; used by `hoop demo` and by the end-to-end tests.
 *
 * Deliberately not a way to install a relay: docs/operations.md says how. Invariant: everything that is written lies
 * below `directory`, also what the credential store and the local agent write.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Agent, fetch as undiciFetch } from 'undici';
import { stringify } from 'yaml';
import { confirmDevice, type PageFetch } from './browser.ts';
import { freePort } from './cluster.ts';
import { hoop, ProgramError, Running, type Finished } from './hoop.ts';

/** Where the database is and how the relay signs in; goes into `relay.yaml` as the target `name`. */
export interface TargetAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Which others a client may name; only `database` when absent. */
  readonly databases?: 'any' | readonly string[];
}

/** Environment for a program of somebody whose files all lie in `home`: nothing of the caller's own is reachable. */
export function environmentOf(home: string): NodeJS.ProcessEnv {
  const xdg = ['CONFIG', 'DATA', 'STATE', 'CACHE', 'RUNTIME'].map((kind) => {
    const directory = path.join(home, kind.toLowerCase());
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return [kind === 'RUNTIME' ? 'XDG_RUNTIME_DIR' : `XDG_${kind}_HOME`, directory];
  });
  // No session bus: tokens go into the file store below `home`, never into the person's real key ring.
  return {
    PATH: process.env['PATH'],
    HOME: home,
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    ...Object.fromEntries(xdg),
  };
}

/** Somebody with a password and a computer. */
export class Person {
  readonly email: string;
  readonly password: string;
  readonly env: NodeJS.ProcessEnv;

  readonly #fetch: PageFetch;

  /** @param installation where the person has the account */
  constructor(email: string, password: string, home: string, installation: Installation) {
    this.email = email;
    this.password = password;
    this.#fetch = installation.fetch;
    const { caFile } = installation;
    this.env = { ...environmentOf(home), ...(caFile === null ? {} : { HOOP_CA_FILE: caFile }) };
  }

  /** Runs one `hoop` command to its end. */
  hoop(...args: string[]): Promise<Finished> {
    return hoop(args, { env: this.env });
  }

  /** Starts a `hoop` command that goes on. */
  start(...args: string[]): Running {
    return Running.hoop(args, this.env);
  }

  /**
   * `hoop login`, confirmed on the provider's pages as a browser would.
   * @throws ProgramError `program-ended`, BrowserError `device-pages-failed`
   */
  async login(relay: string, ...flags: string[]): Promise<Finished> {
    const login = this.start('login', relay, '--no-browser', ...flags);
    const [, uri, userCode] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
    const answers = { email: this.email, password: this.password, userCode: userCode! };
    await confirmDevice(uri!, answers, this.#fetch);
    const code = await login.ended;
    if (code !== 0) throw new ProgramError('program-ended', `hoop login ended with ${code}: ${login.output}`);
    return { code, stdout: login.stdout, stderr: login.stderr, output: login.output };
  }
}

export interface InstallationOptions {
  readonly directory: string;
  readonly targets: Readonly<Record<string, TargetAddress>>;
  /** Cedar. */
  readonly policy: string;
  /** More keys of `relay.yaml`, or others instead; `tls` makes it an https relay. */
  readonly config?: Readonly<Record<string, unknown>> & {
    readonly evidence?: { readonly directory?: string } & Readonly<Record<string, unknown>>;
  };
  /** The authority of the relay's certificate. */
  readonly caFile?: string;
}

export class Installation {
  readonly directory: string;
  readonly configFile: string;
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  /** Log and recordings. */
  readonly evidence: string;
  readonly caFile: string | null;
  /** `fetch` that trusts `caFile`. */
  readonly fetch: PageFetch;
  #relay: Running | null = null;

  private constructor(directory: string, url: string, evidence: string, caFile: string | null) {
    this.directory = directory;
    this.url = url;
    this.caFile = caFile;
    this.fetch = caFile === null ? fetch : fetchTrusting(readFileSync(caFile, 'utf8'));
    this.configFile = path.join(directory, 'relay.yaml');
    this.evidence = evidence;
    this.env = environmentOf(path.join(directory, 'operator'));
  }

  /** Writes the configuration; nothing runs yet. */
  static async create({
    directory,
    targets,
    policy,
    config,
    caFile,
  }: InstallationOptions): Promise<Installation> {
    const port = await freePort();
    const scheme = config !== undefined && 'tls' in config ? 'https' : 'http';
    const evidence = config?.evidence?.directory ?? path.join(directory, 'evidence');
    const made = new Installation(directory, `${scheme}://localhost:${port}`, evidence, caFile ?? null);
    writeFileSync(path.join(directory, 'policy.cedar'), policy);
    const entries = Object.entries(targets).map(([name, { password, ...address }]) => {
      const file = path.join(directory, `${name}.password`);
      writeFileSync(file, password, { mode: 0o600 });
      chmodSync(file, 0o600);
      return [name, { protocol: 'postgres', ...address, password: `file:${file}`, tls: { mode: 'disable' } }];
    });
    const { evidence: evidenceSettings, ...rest } = config ?? {};
    const document = {
      listen: { host: '127.0.0.1', port },
      publicUrl: made.url,
      dataDir: path.join(directory, 'relay'),
      // Nothing here outlives a day: little needs to be held back.
      evidence: { directory: evidence, space: { reserve: '16MiB' }, ...evidenceSettings },
      policies: ['policy.cedar'],
      targets: Object.fromEntries(entries),
      ...rest,
    };
    writeFileSync(made.configFile, stringify(document), { mode: 0o600 });
    return made;
  }

  /** Adds a user of the embedded provider. */
  async addPerson(name: string, email: string, groups: readonly string[]): Promise<Person> {
    const password = `${name}-${crypto.randomUUID()}`;
    const flags = groups.flatMap((group) => ['--group', group]);
    const args = ['admin', 'users', 'add', email, ...flags, '--password-stdin', '--config', this.configFile];
    const added = await hoop(args, { env: this.env, input: `${password}\n` });
    if (added.code !== 0) throw new ProgramError('program-ended', `hoop ${args.join(' ')}: ${added.stderr}`);
    return new Person(email, password, path.join(this.directory, name), this);
  }

  /** `hoop relay start`; resolves when it answers. @throws ProgramError `program-ended` */
  async start(environment: NodeJS.ProcessEnv = {}): Promise<Running> {
    const relay = Running.hoop(['relay', 'start', '--config', this.configFile], {
      ...this.env,
      ...environment,
    });
    this.#relay = relay;
    await relay.says(/Relay ready at/);
    return relay;
  }

  get relay(): Running {
    if (this.#relay === null) throw new ProgramError('program-ended', 'the relay was not started');
    return this.#relay;
  }

  /** Ends the relay in order. Idempotent. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#relay?.stop(signal);
    this.#relay = null;
  }
}

function fetchTrusting(ca: string): PageFetch {
  const dispatcher = new Agent({ connect: { ca } });
  return (url, init) => undiciFetch(url, { ...init, dispatcher });
}
