/** Rules of targets that join several keys. */
import { isLoopback } from './loopback.ts';
import type { RelayFile } from './schema.ts';
import type { RuleProblem } from './rules.ts';
import { SecretReference } from './secret.ts';
import type { PostgresTargetFile, SshTargetFile } from './target-schema.ts';

export function targetProblems(
  target: RelayFile['targets'][keyof RelayFile['targets']],
): Iterable<RuleProblem> {
  return target.protocol === 'ssh' ? sshProblems(target) : postgresProblems(target);
}

function* sshProblems(target: SshTargetFile): Generator<RuleProblem> {
  if (target.user === undefined && target.logins.length === 0)
    yield { path: ['user'], message: 'missing: expected user, or logins that say who signs in as whom' };
  if (target.user !== undefined) yield* settingProblems(['user'], target.user);
  for (const [at, { email, subject, group }] of target.logins.entries())
    if (email === undefined && subject === undefined && group === undefined)
      yield {
        path: ['logins', `${at}`],
        message: 'expected email, subject or group: whom this login is for',
      };
  yield* accessProblems([], target);
  for (const [at, hop] of target.jump.entries()) {
    yield* settingProblems(['jump', `${at}`, 'user'], hop.user);
    yield* accessProblems(['jump', `${at}`], hop);
  }
}

type Access = Pick<SshTargetFile, 'privateKey' | 'passphrase' | 'password' | 'hostKeys'>;

function* accessProblems(path: readonly string[], access: Access): Generator<RuleProblem> {
  for (const key of ['privateKey', 'passphrase', 'password'] as const) {
    const value = access[key];
    if (value !== undefined && SecretReference.parse(value, '/') === null)
      yield {
        path: [...path, key],
        message: 'a secret does not belong in this file: use env:NAME or file:PATH',
      };
  }
  if (access.privateKey === undefined && access.password === undefined)
    yield { path: [...path, 'privateKey'], message: 'missing: expected privateKey or password' };
  if (access.passphrase !== undefined && access.privateKey === undefined)
    yield { path: [...path, 'passphrase'], message: 'has no meaning without privateKey' };
  for (const [at, line] of (access.hostKeys ?? []).entries())
    if (!/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))\s+[A-Za-z0-9+/]{40,}={0,2}(\s.*)?$/.test(line))
      yield {
        path: [...path, 'hostKeys', `${at}`],
        message: 'expected a host key as in known_hosts without the host: ssh-ed25519 AAAA…',
      };
}

function* settingProblems(path: readonly string[], text: string): Generator<RuleProblem> {
  if (/^(env|file):/.test(text) && SecretReference.parse(text, '/') === null)
    yield { path, message: 'expected env:NAME or file:PATH' };
}

function* postgresProblems(target: PostgresTargetFile): Generator<RuleProblem> {
  const { user, password } = target;
  if (password !== undefined && SecretReference.parse(password, '/') === null)
    yield {
      path: ['password'],
      message: 'a password does not belong in this file: use env:NAME or file:PATH',
    };
  if (/^(env|file):/.test(user) && SecretReference.parse(user, '/') === null)
    yield { path: ['user'], message: 'expected env:NAME or file:PATH' };
  yield* targetTlsProblems(target);
}

function* targetTlsProblems({ host, tls }: PostgresTargetFile): Generator<RuleProblem> {
  const socket = host.startsWith('/');
  if (socket && tls.mode === 'verify-full')
    yield { path: ['tls', 'mode'], message: 'a Unix socket has no TLS: use disable, or leave it out' };
  if (!socket && tls.mode === 'disable' && !isLoopback(host) && tls.acknowledgePlaintext !== true)
    yield {
      path: ['tls', 'mode'],
      message:
        'would send credentials and results in plain text over the network: use verify-full, or set acknowledgePlaintext: true',
    };
  if (tls.mode === 'disable' || socket)
    for (const key of ['caFile', 'certFile', 'keyFile', 'serverName'] as const)
      if (tls[key] !== undefined) yield { path: ['tls', key], message: 'has no meaning without TLS' };
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    yield {
      path: ['tls', tls.certFile === undefined ? 'keyFile' : 'certFile'],
      message: 'certFile and keyFile go together',
    };
}
