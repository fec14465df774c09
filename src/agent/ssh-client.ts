/** How OpenSSH and what is built on it are led to a target: options, configuration, environment of client programs. */
import path from 'node:path';
import { sshHost } from './known-hosts.ts';

/** A local port that speaks SSH. */
export interface SshAddress {
  readonly target: string;
  readonly host: string;
  readonly port: number;
  readonly knownHosts: string;
}

/** Words of `ssh`, but the command. */
export function sshWords({ target, host, port, knownHosts }: SshAddress): string[] {
  const options = { UserKnownHostsFile: configValue(knownHosts), HostKeyAlias: sshHost(target) };
  return [
    'ssh',
    '-p',
    String(port),
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    host,
  ];
}

/**
 * What the relay's end needs, and what it has no use for: no key of the person's is offered, since the tunnel has proven who
 * it is; the host key is that of hoop's own file and no other.
 */
const common = (knownHosts: string): string[] => [
  `UserKnownHostsFile ${configValue(knownHosts)}`,
  'GlobalKnownHostsFile /dev/null',
  'StrictHostKeyChecking yes',
  'UpdateHostKeys no',
  'PreferredAuthentications none',
  'PubkeyAuthentication no',
];

/** ssh_config of one local port, for a client that is run on it. */
export function configOfPort({ target, host, port, knownHosts }: SshAddress): string {
  return block(`Host ${target} ${sshHost(target)} ${host}`, [
    `HostName ${host}`,
    `Port ${port}`,
    `HostKeyAlias ${sshHost(target)}`,
    ...common(knownHosts),
  ]);
}

/** ssh_config of every target. @param proxy words of ProxyCommand, but the host */
export function configOfTargets(knownHosts: string, proxy: readonly string[]): string {
  const words = proxy.map((word) => shellWord(word).replaceAll('%', '%%'));
  return block('Host *.hoop', [`ProxyCommand ${words.join(' ')} %n`, 'Port 22', ...common(knownHosts)]);
}

const block = (head: string, lines: readonly string[]): string =>
  `${[head, ...lines.map((line) => `  ${line}`)].join('\n')}\n`;

/** Programs that take `-F FILE` themselves. */
const takingConfig = new Set(['ssh', 'scp', 'sftp']);

/**
 * A client program and its environment, led to the port by a configuration file: ssh, scp and sftp by an argument, git,
 * rsync and ansible by their variables.
 */
export function clientOfPort(
  [program = '', ...rest]: readonly string[],
  base: NodeJS.ProcessEnv,
  configFile: string,
): { command: string; arguments: string[]; environment: NodeJS.ProcessEnv } {
  const ssh = `ssh -F ${shellWord(configFile)}`;
  return {
    command: program,
    arguments: takingConfig.has(path.basename(program)) ? ['-F', configFile, ...rest] : rest,
    environment: {
      ...base,
      HOOP_SSH_CONFIG: configFile,
      GIT_SSH_COMMAND: ssh,
      RSYNC_RSH: ssh,
      ANSIBLE_SSH_COMMON_ARGS: `-F ${shellWord(configFile)}`,
    },
  };
}

export const shellWord = (word: string): string =>
  /^[A-Za-z0-9_@+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** ssh_config knows double quotes and, in some values, `%`. */
export const configValue = (value: string): string => {
  const literal = value.replaceAll('%', '%%');
  return /[\s"]/.test(literal) ? `"${literal}"` : literal;
};
