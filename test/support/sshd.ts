/**
 * A real OpenSSH server for one test file: Debian's sshd with a configuration, keys and a port of its own. It runs as
 * whoever runs the tests and lets in nobody else; as root it signs in the account `hoop-sshd` where there is one, else root.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { findProgram } from './programs.ts';

export interface SshServer {
  readonly port: number;
  /** Login that its key opens. */
  readonly user: string;
  /** Private key file of that login. */
  readonly keyFile: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** Where it may write; removed at the end. */
  readonly directory: string;
  /** Ends it and starts it again, with another host key. */
  rekey(): Promise<string>;
  stop(): Promise<void>;
}

export interface SshServerOptions {
  /** More lines of sshd_config. */
  readonly config?: readonly string[];
}

export async function startSshd(options: SshServerOptions = {}): Promise<SshServer> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-sshd-'));
  chmodSync(directory, 0o755);
  const keyFile = makeKey(path.join(directory, 'login'));
  const authorized = path.join(directory, 'authorized_keys');
  // Read by sshd as whoever signs in.
  writeFileSync(authorized, readFileSync(`${keyFile}.pub`), { mode: 0o644 });
  const port = await freePort();
  let hostKeyFile = makeKey(path.join(directory, 'host'));
  let child = await start(directory, port, hostKeyFile, options);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return {
    port,
    user: userInfo().username,
    keyFile,
    hostKey: publicKey(hostKeyFile),
    directory,
    rekey: async () => {
      await stop();
      hostKeyFile = makeKey(path.join(directory, 'host-again'));
      child = await start(directory, port, hostKeyFile, options);
      return publicKey(hostKeyFile);
    },
    stop: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function makeKey(file: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  return file;
}

const publicKey = (file: string): string =>
  readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');

async function start(
  directory: string,
  port: number,
  hostKeyFile: string,
  { config = [] }: SshServerOptions,
): Promise<ChildProcess> {
  // sshd separates privileges into a directory that the package's service makes.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const file = path.join(directory, 'sshd_config');
  const lines = [
    ...config,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKeyFile}`,
    `AuthorizedKeysFile ${path.join(directory, 'authorized_keys')}`,
    `PidFile ${path.join(directory, 'sshd.pid')}`,
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'AcceptEnv *',
    'AllowAgentForwarding yes',
    'AllowTcpForwarding yes',
    'X11Forwarding yes',
    'MaxSessions 200',
    'MaxStartups 500',
    'PrintMotd no',
    'PrintLastLog no',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn(findProgram('sshd')!, ['-D', '-e', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)));
  for (;;) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${said}`);
    if (await answers(port)) return child;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => setTimeout(resolve, 20, false));
  });
}
