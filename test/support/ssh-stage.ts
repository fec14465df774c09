/**
 * The whole product in front of a real OpenSSH server: relay, people, sshd, and OpenSSH's own clients for them. Ana may
 * use `server`; Lea reads the record and decides reviews.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopAll, type Finished, type Running } from '../../src/cli/demo/hoop.ts';
import { Installation, type InstallationOptions, type Person } from '../../src/cli/demo/installation.ts';
import { startSshd, type SshServer, type SshServerOptions } from './sshd.ts';
import { verifyInstallation } from './relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill", Action::"review"], resource);
`;

export interface SshStageOptions {
  readonly sshd?: SshServerOptions;
  /** Cedar, instead of the stage's own. */
  readonly policy?: string;
  /** More keys of relay.yaml. */
  readonly config?: InstallationOptions['config'];
  /** More variables of the relay's environment. */
  readonly environment?: NodeJS.ProcessEnv;
  /** More keys of the target `server`, or others instead. */
  readonly target?: Readonly<Record<string, unknown>>;
}

export interface SshPort {
  readonly port: number;
  readonly session: string;
  readonly running: Running;
  /** Options of ssh, scp (and sftp) for this port, but the port itself. */
  readonly options: readonly string[];
}

export interface SshStage {
  readonly sshd: SshServer;
  readonly installation: Installation;
  readonly directory: string;
  readonly ana: Person;
  readonly lea: Person;
  /** `hoop connect server FLAGS` in the foreground. */
  connect(flags?: readonly string[], person?: Person): Promise<SshPort>;
  verify(): Promise<Finished>;
  close(): Promise<void>;
}

export async function startSshStage(options: SshStageOptions = {}): Promise<SshStage> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-ssh-stage-'));
  const sshd = await startSshd(options.sshd);
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const close = async (): Promise<void> => {
    await stopAll();
    await sshd.stop();
    process.off('exit', remove);
    remove();
  };
  try {
    const target = {
      protocol: 'ssh',
      host: '127.0.0.1',
      port: sshd.port,
      user: sshd.user,
      privateKey: `file:${sshd.keyFile}`,
      hostKeys: [sshd.hostKey],
      ...options.target,
    };
    const installation = await Installation.create({
      directory,
      targets: {},
      policy: options.policy ?? policy,
      config: { ...options.config, targets: { server: target } },
    });
    const [ana, lea] = await Promise.all([
      installation.addPerson('ana', 'ana@example.com', ['engineering']),
      installation.addPerson('lea', 'lea@example.com', ['leads']),
    ]);
    await installation.start(options.environment);
    await ana.login(installation.url);
    return {
      sshd,
      installation,
      directory,
      ana,
      lea,
      close,
      connect: (flags = [], person = ana) => connect(directory, person, flags),
      verify: () => verifyInstallation(installation),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function connect(directory: string, person: Person, flags: readonly string[]): Promise<SshPort> {
  const running = person.start('connect', 'server', '--json', ...flags);
  const [line] = await running.says(/\{[^]*\n\}|\{.*\}/);
  const { port, session, hostKey } = JSON.parse(line) as { port: number; session: string; hostKey: string };
  const knownHosts = path.join(directory, `known-hosts-${port}`);
  writeFileSync(knownHosts, `server.hoop ${hostKey}\n`);
  const options = {
    UserKnownHostsFile: knownHosts,
    GlobalKnownHostsFile: '/dev/null',
    HostKeyAlias: 'server.hoop',
    StrictHostKeyChecking: 'yes',
    BatchMode: 'yes',
    LogLevel: 'ERROR',
  };
  return {
    port,
    session,
    running,
    options: [
      '-F',
      '/dev/null',
      ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ],
  };
}
