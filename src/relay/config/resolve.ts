/** From the file's shape to the relay's: absolute paths, defaults that depend on other keys, references. */
import path from 'node:path';
import { isTargetName } from '../../model/ids.ts';
import type { TargetName } from '../../model/ids.ts';
import type { RelayConfig } from './config.ts';
import { resolveArchive } from './archive.ts';
import { resolveRetention } from './retention.ts';
import { resolveStream } from './streams.ts';
import { resolveLog } from './log-schema.ts';
import { machineRules } from './machine-rules.ts';
import { compiledMasking } from './masking.ts';
import type { RelayFile } from './schema.ts';
import { reference, SecretReference } from './secret.ts';
import { resolveTarget } from './resolve-target.ts';
import type { TargetConfig } from './targets.ts';
import { upstreamOf } from './upstream.ts';

/** The configuration that a file means; the file has passed schema and rules. */
export function resolveConfig(source: RelayConfig['source'], file: RelayFile): RelayConfig {
  const base = path.dirname(source.file);
  const dataDir = path.resolve(base, file.dataDir);
  const keys = path.resolve(base, file.keys.directory ?? path.join(dataDir, 'keys'));
  const publicUrl = file.publicUrl ?? `${file.tls ? 'https' : 'http'}://localhost:${file.listen.port}`;
  const { evidence, sessions } = file;
  return {
    source,
    listen: file.listen,
    publicUrl,
    tls: file.tls
      ? { certFile: path.resolve(base, file.tls.certFile), keyFile: path.resolve(base, file.tls.keyFile) }
      : null,
    behindProxy: file.behindProxy ?? null,
    dataDir,
    keys: { directory: keys },
    log: resolveLog(file.log, base, {
      origin: `${new URL(publicUrl).host}/log`,
      keyFile: path.join(keys, 'log.key'),
    }),
    logging: file.logging,
    metrics: file.metrics,
    evidence: {
      directory: path.resolve(base, evidence.directory ?? path.join(dataDir, 'evidence')),
      durability: evidence.durability,
      syncTimeoutMs: evidence.syncTimeout,
      backlogBytes: evidence.backlog,
      space: {
        warn: evidence.space.warn,
        critical: evidence.space.critical,
        reserveBytes: evidence.space.reserve,
      },
      originals: originalsOf(file),
      archive: resolveArchive(evidence.archive, base),
      retention: resolveRetention(evidence.retention),
      streams: evidence.streams.map((stream) => resolveStream(stream, base)),
    },
    state: stateOf(file, base, dataDir),
    identity: identityOf(file, base),
    machines: machineRules(file, publicUrl),
    tokens: { lifetimeMs: file.tokens.lifetime, signInLifetimeMs: file.tokens.signInLifetime },
    sessions: {
      defaultDurationMs: sessions.defaultDuration,
      maxDurationMs: sessions.maxDuration,
      detachedMs: sessions.detached,
      drainMs: sessions.drain,
    },
    reviews: {
      expiresAfterMs: file.reviews.expiresAfter,
      webhooks: file.reviews.webhooks.map(({ url, secret, ...webhook }) => ({
        ...webhook,
        url: SecretReference.parse(url, base) ?? url,
        secret: secret === undefined ? null : reference(secret, base),
      })),
    },
    masking: compiledMasking(file),
    limits: { statementBytes: file.limits.statement },
    policies: file.policies.map((name) => path.resolve(base, name)),
    targets: targetsOf(file, base),
  };
}

function originalsOf({ evidence: { seal } }: RelayFile): RelayConfig['evidence']['originals'] {
  if (seal.discardOriginals === true) return 'discard';
  return seal.recipients.length > 0 ? seal.recipients : null;
}

function stateOf({ state }: RelayFile, base: string, dataDir: string): RelayConfig['state'] {
  if (state.postgres !== undefined) return { kind: 'postgres', url: reference(state.postgres, base) };
  return { kind: 'sqlite', file: path.resolve(base, state.sqlite ?? path.join(dataDir, 'state.db')) };
}

function identityOf({ identity }: RelayFile, base: string): RelayConfig['identity'] {
  const { upstream } = identity;
  if (identity.issuer === 'embedded')
    return { kind: 'embedded', upstream: upstream === undefined ? null : upstreamOf(upstream, base) };
  return {
    kind: 'oidc',
    issuer: identity.issuer,
    clientId: identity.clientId ?? '',
    clientSecret: identity.clientSecret === undefined ? null : reference(identity.clientSecret, base),
    scopes: identity.scopes ?? ['openid', 'email', 'offline_access'],
    groupsClaim: identity.groupsClaim ?? 'groups',
    groupsMap: new Map(Object.entries(identity.groupsMap ?? {})),
    clockSkewSeconds: (identity.clockSkew ?? 60_000) / 1000,
  };
}

function targetsOf(file: RelayFile, base: string): ReadonlyMap<TargetName, TargetConfig> {
  const targets = new Map<TargetName, TargetConfig>();
  for (const [name, target] of Object.entries(file.targets))
    if (isTargetName(name)) targets.set(name, resolveTarget(name, target, base));
  return targets;
}
