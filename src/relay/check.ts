/**
 * `hoop relay check`: everything about a configuration that can be wrong before a relay starts, tried without starting
 * one. Reads files and the environment; with `connect` it also reaches the targets, without signing in at them. Nothing is
 * written, and no secret is shown.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { access, constants, stat } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { HoopError } from '../errors.ts';
import { Reserve } from '../evidence/space/reserve.ts';
import { Policies } from '../policy/policies.ts';
import { checkArchive, reachArchive } from './check-archive.ts';
import { reachTarget } from './check-reach.ts';
import type { RelayConfig, WebhookConfig } from './config/config.ts';
import type { PostgresTargetConfig } from './config/targets.ts';
import { readSecretFile } from './config/secret-file.ts';
import { settingValue } from './config/secret.ts';
import { checkKeys } from './keys.ts';
import { checkSshTarget } from './check-ssh.ts';
import type { StreamConfig } from './config/streams.ts';
import { checkUpstream, reachUpstream } from './check-upstream.ts';
import { webhookAccess } from './reviews/webhooks.ts';
import { checkSaml } from './saml.ts';
import { leastBeyond, levelOf, measureSpace } from './space/measure.ts';

/** One thing that was looked at. */
export interface CheckResult {
  /** `policies`, `tls`, `target db-prod`, … */
  readonly subject: string;
  /** A warning does not keep the relay from starting. */
  readonly state: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** Of the failure; null otherwise. */
  readonly code: string | null;
}

/** Looks at everything; failures are results, not exceptions. */
export async function checkRelay(config: RelayConfig, options: { connect: boolean }): Promise<CheckResult[]> {
  const results = [
    attempt('policies', () => checkPolicies(config)),
    attempt('keys', () => checkKeyFiles(config)),
    attempt('data directory', () => checkDirectory(config.dataDir)),
    attempt('evidence directory', () => checkEvidence(config.evidence)),
    attempt('state', () => checkState(config)),
  ];
  const { tls, identity } = config;
  const upstream = identity.kind === 'embedded' ? identity.upstream : null;
  if (upstream?.kind === 'oidc') {
    results.push(attempt('upstream', () => checkUpstream(upstream)));
    if (options.connect) results.push(attempt('upstream (connect)', () => reachUpstream(upstream)));
  }
  if (upstream?.kind === 'saml' && (options.connect || !/^https?:/i.test(upstream.metadata)))
    results.push(attempt('saml provider', () => checkSaml(upstream)));
  if (tls !== null) results.push(attempt('tls', () => checkServerCertificate(config, tls)));
  for (const [at, webhook] of config.reviews.webhooks.entries())
    results.push(attempt(`webhook ${at + 1}`, () => checkWebhook(webhook)));
  for (const stream of config.evidence.streams)
    results.push(attempt(`stream ${stream.name}`, () => checkStream(stream)));
  const { archive } = config.evidence;
  if (archive !== null) {
    results.push(attempt('archive', () => checkArchive(archive, config)));
    if (options.connect && (archive.place.kind === 's3' || existsSync(archive.place.directory)))
      results.push(attempt('archive (connect)', () => reachArchive(archive, config)));
  }
  for (const target of config.targets.values()) {
    const subject = `target ${target.name}`;
    if (target.protocol === 'ssh') {
      results.push(attempt(subject, () => checkSshTarget(config, target)));
      continue;
    }
    results.push(attempt(subject, () => checkCredential(target)));
    results.push(attempt(`${subject} (tls)`, () => checkCertificates(target)));
    if (options.connect) results.push(attempt(`${subject} (connect)`, () => reachTarget(target)));
  }
  return (await Promise.all(results)).flat();
}

/** Whatever it reads when it connects can be read. */
function checkStream({ to, format, secrets: { token, ca, client } }: StreamConfig): Found {
  for (const read of [token, ca, client]) read?.();
  return `${to.text}, ${format}`;
}

/** A check's sentence when all is well, or sentences to warn with. */
type Found = string | { readonly warnings: readonly string[] };

async function attempt(subject: string, check: () => Found | Promise<Found>): Promise<CheckResult[]> {
  try {
    const found = await check();
    if (typeof found === 'string') return [{ subject, state: 'ok', message: found, code: null }];
    return found.warnings.map((message) => ({ subject, state: 'warning', message, code: null }));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
    const message = error instanceof Error ? error.message : 'failed';
    const hint = error instanceof HoopError && error.hint !== undefined ? ` (${error.hint})` : '';
    return [{ subject, state: 'failed', message: `${message}${hint}`, code }];
  }
}

function checkPolicies(config: RelayConfig): Found {
  const policies = Policies.load(config.policies);
  const count = policies.ids.length;
  const permits = policies.ids.filter((id) => policies.policy(id)?.effect === 'permit').length;
  policies.close();
  if (permits === 0) return { warnings: ['no policy permits anything: nobody may connect'] };
  if (policies.warnings.length > 0) return { warnings: policies.warnings };
  return `${count} ${count === 1 ? 'policy' : 'policies'}, valid`;
}

async function checkKeyFiles(config: RelayConfig): Promise<Found> {
  const missing = await checkKeys(config);
  if (missing.length === 0) return 'present, readable by their owner alone';
  const names = missing.map((file) => path.basename(file)).join(', ');
  return `made at the first start in ${config.keys.directory}: ${names}`;
}

/** The directory, or its nearest parent that is there, can be written to and is a directory. */
async function checkDirectory(directory: string): Promise<Found> {
  const there = await nearestDirectory(directory);
  await access(there, constants.W_OK | constants.X_OK);
  return there === directory ? directory : `${directory} will be made`;
}

async function nearestDirectory(directory: string): Promise<string> {
  for (let there = directory; ; there = path.dirname(there)) {
    const found = await stat(there).catch(() => null);
    if (found?.isDirectory()) return there;
    if (found !== null || path.dirname(there) === there) throw new Error(`${there} is not a directory`);
  }
}

/** Is there room for the record, and for what is held back of it? */
async function checkEvidence({ directory, space }: RelayConfig['evidence']): Promise<Found> {
  const where = await checkDirectory(directory);
  const there = await nearestDirectory(directory);
  const measured = await measureSpace(there);
  const { missingBytes } = await Reserve.open(directory, space.reserveBytes);
  const available = `${sizeText(measured.availableBytes)} of ${sizeText(measured.totalBytes)} are free`;
  if (measured.availableBytes < missingBytes + leastBeyond(space.reserveBytes))
    return { warnings: [`${available}: too little for evidence.space.reserve; no session will open`] };
  const level = levelOf(measured, space, 'enough');
  if (level === 'enough') return `${where}, ${available}`;
  return { warnings: [`${available}: ${level}, by evidence.space`] };
}

const sizeText = (bytes: number): string =>
  bytes < 2 ** 30 ? `${Math.floor(bytes / 2 ** 20)} MiB` : `${Math.floor(bytes / 2 ** 30)} GiB`;

async function checkState({ state }: RelayConfig): Promise<Found> {
  if (state.kind === 'postgres') {
    const url = URL.parse(state.url.resolve());
    if (url === null || !/^postgres(ql)?:$/.test(url.protocol))
      throw new Error(`${state.url.toString()} does not hold a postgres:// URL`);
    return `PostgreSQL, by ${state.url.toString()}`;
  }
  if ((await stat(state.file).catch(() => null)) === null) return `${state.file} will be made`;
  await access(state.file, constants.R_OK | constants.W_OK);
  return state.file;
}

function checkServerCertificate({ publicUrl }: RelayConfig, tls: NonNullable<RelayConfig['tls']>): Found {
  const certificate = new X509Certificate(readFileSync(tls.certFile));
  matchKey(certificate, tls.keyFile);
  const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  const named = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  const warnings = [...expiry(certificate)];
  if (named === undefined) warnings.push(`the certificate is not for ${host}, the host of publicUrl`);
  return warnings.length > 0 ? { warnings } : `certificate for ${host}, until ${dayOf(certificate)}`;
}

/** Nothing is sent: whoever gets it would take it for a review. */
function checkWebhook(webhook: WebhookConfig): Found {
  const { url, key } = webhookAccess(webhook);
  return `${new URL(url).host}, ${key === null ? 'not signed' : 'signed'}`;
}

function checkCredential(target: PostgresTargetConfig): Found {
  settingValue(target.user);
  target.password?.resolve();
  if (target.tls.mode === 'disable' && !target.host.startsWith('/') && target.password !== null)
    return {
      warnings: [`no TLS: the credential travels to ${target.host} as its authentication method sends it`],
    };
  return 'credential can be read';
}

function checkCertificates({ tls }: PostgresTargetConfig): Found {
  if (tls.mode === 'disable') return 'no TLS';
  const warnings: string[] = [];
  if (tls.caFile !== null) warnings.push(...expiry(new X509Certificate(readFileSync(tls.caFile))));
  if (tls.clientCertificate !== null) {
    const certificate = new X509Certificate(readFileSync(tls.clientCertificate.certFile));
    matchKey(certificate, tls.clientCertificate.keyFile);
    warnings.push(...expiry(certificate));
  }
  return warnings.length > 0 ? { warnings } : 'certificates can be read';
}

function matchKey(certificate: X509Certificate, keyFile: string): void {
  const key = createPrivateKey(readSecretFile(keyFile, 65_536));
  if (!certificate.checkPrivateKey(key)) throw new Error(`${keyFile} is not the key of its certificate`);
}

const dayOf = (certificate: X509Certificate): string => certificate.validToDate.toISOString().slice(0, 10);

const noticeMs = 14 * 86_400_000;

function* expiry(certificate: X509Certificate): Generator<string> {
  const leftMs = certificate.validToDate.getTime() - Date.now();
  if (leftMs < 0) yield `the certificate ended on ${dayOf(certificate)}`;
  else if (leftMs < noticeMs) yield `the certificate ends on ${dayOf(certificate)}`;
  if (certificate.validFromDate.getTime() > Date.now()) yield 'the certificate is not valid yet';
}
