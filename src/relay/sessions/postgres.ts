/** PostgreSQL as a session's protocol: the target's credential, its dialler, deadlines, and what each end is told. */
import type { ByteChannel } from '../../bytes/channel.ts';
import type { Authorization } from '../../gate/authorization.ts';
import type { ConnectionGate } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { SessionEnd } from '../../model/outcome.ts';
import { CancelKeys } from '../../protocols/postgres/cancel-keys.ts';
import { PostgresError, type PeerError } from '../../protocols/postgres/error.ts';
import { Catalogs } from '../../protocols/postgres/masking/catalog.ts';
import { ParsedTexts } from '../../protocols/postgres/parsed-texts.ts';
import { probePostgres } from '../../protocols/postgres/probe.ts';
import { decimalOf, RecordedValues } from '../../protocols/postgres/recorded-values.ts';
import { relayPostgres } from '../../protocols/postgres/relay.ts';
import { ScramKeys } from '../../protocols/postgres/scram.ts';
import type { SqlClassifier } from '../../protocols/postgres/sql/classifier.ts';
import type { TargetOptions, TargetTransport } from '../../protocols/postgres/target.ts';
import { settingValue } from '../config/secret.ts';
import type { RelayConfig } from '../config/config.ts';
import type { PostgresTargetConfig } from '../config/targets.ts';
import { dialTarget } from '../dial.ts';
import { RelayError } from '../error.ts';
import { lentMemory } from '../../system/lent-reads.ts';
import type { RelayLogger } from '../logging.ts';
import type { RelayMetrics } from '../metrics.ts';
import { endText } from './end-text.ts';
import type { ServedConnection, SessionProtocol } from './protocol.ts';

export interface PostgresProtocolOptions {
  readonly authorization: Authorization;
  readonly target: PostgresTargetConfig;
  readonly config: RelayConfig;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
  readonly classifier: Pick<SqlClassifier, 'classify'>;
}

/** From the client's first byte until the target accepts it. */
const startupMs = 30_000;
/** A client that takes nothing cannot keep a connection that has ended. */
const lingerMs = 5000;
/** For the names of columns; then the connection that waits for them ends. */
const namesMs = 20_000;

/** Keys are derived once per target and process: that costs milliseconds. */
const scramKeys = new WeakMap<PostgresTargetConfig, ScramKeys>();

/** @throws ConfigError `secret-unavailable`, `secret-exposed`: the target's user is a reference that leads nowhere */
export function postgresProtocol(options: PostgresProtocolOptions): SessionProtocol {
  const { authorization, target, config } = options;
  const reached = targetOptions(target);
  const cancelKeys = new CancelKeys();
  // The session's own: what one session reads never stands in memory that another reads into.
  const readMemory = lentMemory();
  const dial = (): Promise<TargetTransport> => dialTarget(authorization, target, readMemory);
  const catalogs = new Catalogs({
    dial: () => dialForNames(authorization, target),
    target: reached,
    nowMs: () => performance.now(),
  });
  const classify = (text: Uint8Array): CommandFacts => options.classifier.classify(text);
  const parsed = new ParsedTexts(classify);
  return {
    name: 'postgres',
    ssh: null,
    literals: { values: new RecordedValues(), decimalOf, input: 'copy-data' },
    probe: () => probe(options, reached),
    serve: (client: ByteChannel, gate: () => ConnectionGate): ServedConnection => {
      const relay = relayPostgres({
        client,
        gate: gate(),
        dial,
        cancelKeys,
        catalogs,
        classify,
        classifyParsed: (text) => parsed.classify(text),
        target: reached,
        messageLimitBytes: config.limits.statementBytes,
      });
      options.metrics.tally.connections++;
      const timer = setTimeout(() => relay.fail(startupTimedOut), startupMs);
      void relay.ready.then(() => clearTimeout(timer));
      const { closed } = relay;
      void relay.ended.then(() => {
        const linger = setTimeout(() => client.destroy(), lingerMs);
        void closed.then(() => clearTimeout(linger));
      });
      return { closed, fail: (why) => relay.fail(endOf(why)) };
    },
    exec: null,
  };
}

/** For a few questions about columns; rows wait for the answers. */
async function dialForNames(
  authorization: Authorization,
  target: PostgresTargetConfig,
): Promise<TargetTransport> {
  const transport = await dialTarget(authorization, target);
  setTimeout(() => transport.channel.destroy(), namesMs).unref();
  return transport;
}

function targetOptions(target: PostgresTargetConfig): TargetOptions {
  const keys = scramKeys.get(target) ?? new ScramKeys();
  scramKeys.set(target, keys);
  return {
    database: target.database,
    databases: target.databases,
    user: settingValue(target.user),
    password: () => target.password?.resolve() ?? null,
    tls: target.tls.mode,
    channelBinding: 'prefer',
    scramKeys: keys,
  };
}

async function probe(
  { authorization, target, logger }: PostgresProtocolOptions,
  reached: TargetOptions,
): Promise<string> {
  const transports: TargetTransport[] = [];
  const timer = setTimeout(() => transports.forEach(({ channel }) => channel.destroy()), startupMs);
  try {
    const dial = async (): Promise<TargetTransport> => {
      const transport = await dialTarget(authorization, target);
      transports.push(transport);
      return transport;
    };
    const { serverVersion } = await probePostgres({ target: reached, dial });
    return `PostgreSQL ${/^\d+(\.\d+)?/.exec(serverVersion)?.[0] ?? serverVersion}`;
  } catch (cause) {
    logger.warn('target unreachable', { target: target.name }, cause);
    const why = cause instanceof PostgresError ? cause.message : 'the relay failed to reach it';
    throw new RelayError('target-unreachable', `The target ${target.name} cannot be used: ${why}.`, {
      hint: 'its operator finds the reason in the relay’s log; hoop relay check --connect tests the way there, without the credential',
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

const startupTimedOut: PeerError = {
  sqlstate: '08006',
  message: 'the connection was not established in time',
  hint: null,
};

/** 57P01 admin_shutdown: clients reconnect or give up, as they would with a server that stops. */
function endOf(why: SessionEnd): PeerError {
  const sqlstate = why === 'evidence-failed' ? '58030' : '57P01';
  return {
    sqlstate,
    message: endText(why),
    hint: 'Open a new one with: hoop connect',
  };
}
