/**
 * The relay, put together. `startRelay` reads as the pipeline in which everything comes to life; `stop` as its reverse.
 * Nothing is served before the evidence is recovered; nothing is closed before the evidence is complete.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { keepProof } from '../evidence/logins/archive.ts';
import { openClassifier, type SqlClassifier } from '../protocols/postgres/sql/classifier.ts';
import { systemClock } from '../system/clock.ts';
import path from 'node:path';
import { auditRoutes, ReadEntries } from './api/audit.ts';
import { resealRoutes } from './api/reseal.ts';
import { searchRoutes } from './api/search.ts';
import { evidenceReaders } from './api/evidence-readers.ts';
import { logRoutes } from './api/log.ts';
import type { RelayIdentity } from './api/identity.ts';
import { authenticate, loginRoutes, offerNonces, presentedBy } from './api/login.ts';
import { delegationRoutes } from './api/delegations.ts';
import { discoveryRoutes } from './api/discovery.ts';
import { reviewRoutes } from './api/reviews.ts';
import { sessionRoutes } from './api/sessions.ts';
import type { RelayConfig } from './config/config.ts';
import { openControl } from './open-control.ts';
import { drain, type Drained } from './drain.ts';
import { RelayError } from './error.ts';
import { openEvidence, type RelayEvidence } from './evidence.ts';
import { healthRoutes } from './health.ts';
import { mountProvider } from './idp/mount.ts';
import { providerClientId, providerScopes, type EmbeddedProvider } from './idp/provider.ts';
import { openKeys, type RelayKeys } from './keys.ts';
import { openLogKeys, type LogKeys } from './log-keys.ts';
import { createLogger, type RelayLogger } from './logging.ts';
import type { MachineSignIns } from './machines/sign-in.ts';
import { RelayMetrics } from './metrics.ts';
import type { ReviewDesk } from './reviews/desk.ts';
import { PoliciesInForce, digestOf, loadPolicies, type Reloaded } from './policies-in-force.ts';
import { openIdentity } from './open-identity.ts';
import { openReviews, type OpenedReviews } from './reviews/open.ts';
import { postgresProtocol } from './sessions/postgres.ts';
import { openShellClassifier } from './shell-grammar.ts';
import type { ShellClassifier } from '../protocols/ssh/shell/classifier.ts';
import { sshProtocol } from './sessions/ssh.ts';
import { ArchiveLocks } from './archive/archive-locks.ts';
import { Archive, openStore } from './archive/archive.ts';
import type { Location } from '../evidence/location.ts';
import { Resealing } from './retention/resealing.ts';
import { Retention } from './retention/retention.ts';
import { SessionRegistry } from './sessions/registry.ts';
import { createServer, listen } from './server.ts';
import { BreakGlass } from './space/break-glass.ts';
import { State } from './state/state.ts';
import { tellEnds } from './told-ends.ts';
import { tellingLogins } from './told-logins.ts';
import { ExecService } from './exec/service.ts';
import { TunnelService } from './tunnel.ts';
import { UpgradeServer } from './upgrade.ts';
import { Streams } from './streams/streams.ts';
import { openWitnesses, type Witnesses } from './witness/witnesses.ts';
import type { LiveSession } from './sessions/live-session.ts';
import { version } from '../system/version.ts';

export interface Relay {
  /** As people reach it. */
  readonly url: string;
  /** Where it listens. */
  readonly address: { readonly host: string; readonly port: number };
  readonly log: RelayLogger;
  /** Reads the policies again. @throws PolicyError, ConfigError, EvidenceError: the old ones stay in force, and the log says so */
  reload(): Promise<Reloaded>;
  /** Stops in order; `hurry` cuts the waiting for live sessions short. */
  stop(hurry: AbortSignal): Promise<Drained>;
}

/**
 * @throws ConfigError, KeysError, PolicyError, StateError, EvidenceError, ProviderError, RelayError: whatever is wrong is told before
 * anything is served
 */
export async function startRelay(config: RelayConfig): Promise<Relay> {
  const logger = createLogger(config.logging.level);
  const metrics = new RelayMetrics(version);
  const loaded = loadPolicies(config);
  for (const warning of loaded.warnings) logger.warn('policy warning', { reason: warning });
  const keys = await openKeys(config);
  const logKeys = await openLogKeys(config);
  const clock = systemClock;
  const state = await State.open(stateLocation(config), {
    clock,
    onError: (error) => logger.error('state failed', {}, error),
  });
  try {
    let witnesses: Witnesses | null = null;
    const evidence = await openEvidence({
      config,
      clock,
      logger,
      metrics,
      version,
      configDigest: digestOf(config, loaded),
      logKeys,
      onPublished: () => witnesses?.wake(),
    });
    try {
      witnesses = openWitnesses(config, { log: evidence.log, logger });
      const append = tellingLogins(evidence.append, state.logins, config.log.origin);
      const policies = new PoliciesInForce(loaded, { config, logger, append });
      return await serve({
        config,
        logger,
        metrics,
        policies,
        keys,
        logKeys,
        witnesses,
        state,
        evidence: { ...evidence, append },
      });
    } catch (error) {
      witnesses?.close();
      await evidence.log.close();
      throw error;
    }
  } catch (error) {
    await state.close();
    await logKeys.close();
    throw error;
  }
}

interface Parts {
  readonly config: RelayConfig;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
  readonly policies: PoliciesInForce;
  readonly keys: RelayKeys;
  readonly logKeys: LogKeys;
  /** Null: none is configured. */
  readonly witnesses: Witnesses | null;
  readonly state: State;
  readonly evidence: RelayEvidence;
}

async function serve(parts: Parts): Promise<Relay> {
  const { config, logger, metrics, state, evidence } = parts;
  const { provider, identity, machines } = await openIdentity(parts);
  const processId = randomUUID();
  const reviews = await openReviews({ ...parts, processId });
  const [classifier, shell] = await Promise.all([openClassifier(), openShellClassifier()]);
  const { room, sealer, log } = evidence;
  const { archive: archived } = config.evidence;
  const store = archived === null ? null : openStore(archived, config);
  const locks = store === null ? null : new ArchiveLocks(store);
  const retention = new Retention({
    directory: config.evidence.directory,
    rules: config.evidence.retention,
    append: evidence.append,
    log,
    locks,
    clock: systemClock,
    logger,
  });
  const archive =
    archived === null || store === null || locks === null
      ? null
      : await Archive.open({
          config,
          archive: archived,
          store,
          retention,
          locks,
          clock: systemClock,
          logger,
          published: () => log.published,
        });
  const readable = archive?.evidence ?? config.evidence.directory;
  const resealing = new Resealing({
    directory: config.evidence.directory,
    append: evidence.append,
    log,
    retention,
    ...(archive !== null && { recall: (session: string) => archive.recall(session) }),
    logger,
  });
  const streams = await Streams.open(config, { evidence: readable, logger, published: () => log.published });
  const endSessions = (): void => registry.endLive('evidence-failed');
  const breakGlass = new BreakGlass({
    room,
    append: evidence.append,
    clock: systemClock,
    logger,
    endSessions,
  });
  const registry = openRegistry(parts, { processId, desk: reviews.desk, classifier, shell, breakGlass });
  room.watch({
    append: evidence.append,
    logReady: () => log.ready,
    unsettled: () => !log.ready || sealer.backlog.segments > 0 || registry.ending > 0,
    endSessions,
  });
  parts.policies.onReplaced = () => registry.endUnauthorized();
  const upgrades = openUpgrades(registry, identity);
  const app = createServer(parts);
  await addRoutes(app, parts, { provider, identity, machines, registry, reviews, resealing, readable });
  let draining = false;
  healthRoutes(app, {
    checks: {
      admission: () => !draining,
      log: () => evidence.log.ready,
      space: () => room.open,
      signer: () => evidence.log.checkpointLagMs < longestUnsignedMs,
      state: () => state.ready(),
    },
    metrics,
    metricsAllow: config.metrics.allow,
  });
  metrics.observe({
    liveSessions: () => registry.size,
    liveConnections: () => [...registry.live].reduce((sum, session) => sum + session.connections, 0),
    sealerBacklogBytes: () => evidence.sealer.backlog.bytes,
    room: () => room,
    breakGlassOpen: () => breakGlass.isOpen,
    logEntries: () => evidence.log.size,
    logFailing: () => !evidence.log.ready,
    checkpointLagSeconds: () => evidence.log.checkpointLagMs / 1000,
    witnesses: () => parts.witnesses?.views() ?? [],
    witnessedEntries: () => parts.witnesses?.witnessedSize() ?? 0,
    streams: () => streams.views(),
    archive: () => archive?.view() ?? null,
  });
  await state.sessions.closeInterrupted(evidence.interrupted);
  const ends = tellEnds(evidence.append, state.logins, (error) =>
    logger.error('login end not told', {}, error),
  );
  const address = await listen(app, config, upgrades).catch(async (error: unknown) => {
    await ends.close();
    throw error;
  });
  streams.start();
  retention.start();
  archive?.start();
  resealing.start();
  const control = await openControl({ ...parts, breakGlass, retention });
  logger.info('listening', { address: `${config.listen.host}:${address.port}`, version });
  const steps = {
    refuseNew: () => {
      draining = true;
      registry.refuseNew();
    },
    whenIdle: () => registry.whenIdle(),
    endSessions: () => within(closingMs, registry.endAll('relay-stopped')),
    close: async () => {
      upgrades.close();
      await control?.close();
      reviews.close();
      breakGlass.close();
      await app.close();
      await ends.close();
      await within(closingMs, evidence.sealer.drain()).finally(() => evidence.sealer.close());
      await streams.close();
      await archive?.close();
      await retention.close();
      room.close();
      parts.witnesses?.close();
      await evidence.log.close();
      await parts.logKeys.close();
      await state.close();
      logger.info('stopped');
    },
  };
  return {
    url: config.publicUrl,
    address: { host: config.listen.host, port: address.port },
    log: logger,
    reload: () => parts.policies.reload(),
    stop: (hurry) => drain(steps, config.sessions.drainMs, hurry),
  };
}

/** Entries are durable all the while; new sessions should go where their checkpoints are signed. */
const longestUnsignedMs = 60_000;

/** A disk that refuses must not keep the process for ever: what is left open is recovered at the next start. */
const closingMs = 15_000;

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new RelayError('evidence-unavailable', 'The record did not close in time.')),
    ms,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const stateLocation = ({ state }: RelayConfig): string =>
  state.kind === 'sqlite' ? state.file : state.url.resolve();

function openRegistry(
  { config, policies, evidence, keys, state, logger, metrics }: Parts,
  {
    processId,
    desk,
    classifier,
    shell,
    breakGlass,
  }: {
    readonly processId: string;
    readonly desk: ReviewDesk;
    readonly classifier: SqlClassifier;
    readonly shell: ShellClassifier;
    readonly breakGlass: BreakGlass;
  },
): SessionRegistry {
  return new SessionRegistry({
    config,
    append: evidence.append,
    sealer: evidence.sealer,
    room: breakGlass,
    state: state.sessions,
    clock: systemClock,
    policies: () => policies.current,
    reviews: (session) => desk.session(session),
    maskingKey: keys.maskingKey,
    processId,
    tally: metrics.tally,
    protocol: (authorization, target) => {
      const shared = { authorization, config, logger, metrics };
      return target.protocol === 'ssh'
        ? sshProtocol({ ...shared, target, hostKey: keys.sshHostKey, classifier: shell })
        : postgresProtocol({ ...shared, target, classifier });
    },
    observe: {
      opened: ({ facts }) => {
        metrics.sessionOpened(facts.authorization.target);
        logger.info('session opened', {
          session: facts.id,
          login: facts.login,
          target: facts.authorization.target,
        });
      },
      denied: ({ login }, target, by) => {
        metrics.denied('connect');
        logger.info('connect denied', { login, target, policies: by });
      },
      blocked: ({ id }, { policies: by, errors }) => {
        metrics.denied('execute');
        if (errors.length > 0) logger.error('policy failed', { session: id, policies: errors });
        else logger.info('execute denied', { session: id, policies: by });
      },
      ending: ({ facts }, why, error) => {
        metrics.sessionEnded(why);
        logger.info('session ended', { session: facts.id, reason: why }, error);
        evidence.room.writeFailed(error);
      },
      trouble: (what, error) => logger.error('trouble', { reason: what }, error),
    },
  });
}

function openUpgrades(registry: SessionRegistry, identity: RelayIdentity): UpgradeServer<LiveSession> {
  return new UpgradeServer<LiveSession>({
    services: { tunnel: new TunnelService(), exec: new ExecService() },
    authorize: async (request, id) => {
      const caller = await identity.authenticator.authenticate(presentedBy(request));
      const session = registry.find(id);
      // The login itself, not only its person: the tunnel ends when that login does.
      if (session === null || session.facts.login !== caller.login)
        throw new RelayError('session-unknown', 'There is no live session of this id.');
      return session;
    },
    refusalHeaders: () => ({ 'DPoP-Nonce': identity.nonces.current() }),
  });
}

async function addRoutes(
  app: FastifyInstance,
  { config, policies, evidence, state, logger }: Parts,
  {
    provider,
    identity,
    machines,
    registry,
    reviews,
    resealing,
    readable,
  }: {
    provider: EmbeddedProvider | null;
    identity: RelayIdentity;
    machines: MachineSignIns;
    registry: SessionRegistry;
    reviews: OpenedReviews;
    resealing: Resealing;
    /** The evidence, wherever its files lie. */
    readable: Location;
  },
): Promise<void> {
  const shared = {
    config,
    identity,
    clock: systemClock,
    policies: () => policies.current,
    append: evidence.append,
  };
  offerNonces(app, identity);
  discoveryRoutes(app, () => ({
    version: 1,
    relay: config.publicUrl,
    ...(config.identity.kind === 'embedded'
      ? { issuer: `${config.publicUrl}/idp`, clientId: providerClientId, scopes: providerScopes }
      : {
          issuer: config.identity.issuer,
          clientId: config.identity.clientId,
          ...(config.identity.clientSecret !== null && {
            clientSecret: config.identity.clientSecret.resolve(),
          }),
          scopes: [...config.identity.scopes],
        }),
    log: {
      origin: config.log.origin,
      vkey: evidence.log.signer.verifier.toString(),
      url: `${config.publicUrl}/log`,
    },
  }));
  loginRoutes(app, {
    ...shared,
    origin: config.log.origin,
    state,
    keepProof: (...proof) => keepProof(config.evidence.directory, ...proof),
    machines,
    onRenewed: () =>
      registry.followLogins().catch((error: unknown) => logger.error('trouble', { reason: 'state' }, error)),
    vouchesFor: provider === null ? undefined : (...token) => provider.accounts.vouchesFor(...token),
    broker: provider?.broker ?? null,
  });
  sessionRoutes(app, {
    ...shared,
    registry,
    state: state.sessions,
    replay: state.replay,
    authenticate: (request) => authenticate(identity, request),
  });
  delegationRoutes(app, {
    ...shared,
    state,
    replay: state.replay,
    authenticate: (request) => authenticate(identity, request),
  });
  reviewRoutes(app, {
    ...shared,
    desk: reviews.desk,
    state: state.reviews,
    attempts: state.attempts,
    replay: state.replay,
    authenticate: (request) => authenticate(identity, request),
  });
  const { directory } = config.evidence;
  const authorizeRead = evidenceReaders({
    ...shared,
    isLive: async (login) => (await state.logins.findLive(login)) !== null,
    replay: state.replay,
    authenticate: (request) => authenticate(identity, request),
  });
  const reads = new ReadEntries(shared.append);
  const signer = { name: config.log.origin, sign: (text: string) => evidence.log.signer.sign(text) };
  const evidenceRoutes = { directory: readable, authorizeRead, reads };
  auditRoutes(app, { ...evidenceRoutes, signer });
  searchRoutes(app, { ...evidenceRoutes, local: directory });
  resealRoutes(app, { directory, authorize: authorizeRead, resealing });
  logRoutes(app, { directory: path.join(directory, 'log'), authorizeRead, reads, log: evidence.log });
  if (provider !== null) await app.register(mountProvider(provider));
}
