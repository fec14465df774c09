/** Targets from the file's shape to the relay's. */
import path from 'node:path';
import type { TargetName } from '../../model/ids.ts';
import type { RelayFile } from './schema.ts';
import { reference, SecretReference } from './secret.ts';
import type { PostgresTargetFile, SshTargetFile } from './target-schema.ts';
import type {
  PostgresTargetConfig,
  SshAccess,
  SshTargetConfig,
  TargetConfig,
  TargetTlsConfig,
} from './targets.ts';

type TargetFile = RelayFile['targets'][keyof RelayFile['targets']];

/** @param base directory that relative paths start at */
export function resolveTarget(name: TargetName, target: TargetFile, base: string): TargetConfig {
  return target.protocol === 'ssh' ? sshTarget(name, target, base) : postgresTarget(name, target, base);
}

function postgresTarget(name: TargetName, target: PostgresTargetFile, base: string): PostgresTargetConfig {
  return {
    ...common(name, target),
    protocol: 'postgres',
    database: target.database,
    databases: target.databases,
    user: SecretReference.parse(target.user, base) ?? target.user,
    password: optional(target.password, base),
    tls: tlsOf(target, base),
  };
}

function sshTarget(name: TargetName, target: SshTargetFile, base: string): SshTargetConfig {
  const everybody = target.user === undefined ? [] : [{ user: target.user }];
  return {
    ...common(name, target),
    ...accessOf(target, base),
    protocol: 'ssh',
    logins: [...target.logins, ...everybody].map(
      ({ email, subject, group, user }: SshTargetFile['logins'][number]) => ({
        email: email ?? null,
        subject: subject ?? null,
        group: group ?? null,
        user: SecretReference.parse(user, base) ?? user,
      }),
    ),
    jump: target.jump.map((hop) => ({
      ...accessOf(hop, base),
      user: SecretReference.parse(hop.user, base) ?? hop.user,
    })),
  };
}

const common = (name: TargetName, { description, groups, host, port }: TargetFile) => ({
  name,
  description: description ?? null,
  groups: groups.toSorted(),
  host,
  port,
});

type AccessFile = Pick<
  SshTargetFile,
  'host' | 'port' | 'privateKey' | 'passphrase' | 'password' | 'hostKeys'
>;

function accessOf(
  { host, port, privateKey, passphrase, password, hostKeys }: AccessFile,
  base: string,
): SshAccess {
  return {
    host,
    port,
    privateKey: optional(privateKey, base),
    passphrase: optional(passphrase, base),
    password: optional(password, base),
    hostKeys: hostKeys?.map((line) => line.split(/\s+/).slice(0, 2).join(' ')) ?? null,
  };
}

const optional = (text: string | undefined, base: string): SecretReference | null =>
  text === undefined ? null : reference(text, base);

function tlsOf({ host, tls }: PostgresTargetFile, base: string): TargetTlsConfig {
  if (host.startsWith('/') || tls.mode === 'disable') return { mode: 'disable' };
  return {
    mode: 'verify-full',
    caFile: tls.caFile === undefined ? null : path.resolve(base, tls.caFile),
    clientCertificate:
      tls.certFile === undefined || tls.keyFile === undefined
        ? null
        : { certFile: path.resolve(base, tls.certFile), keyFile: path.resolve(base, tls.keyFile) },
    serverName: tls.serverName ?? null,
  };
}
