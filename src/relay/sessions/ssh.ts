/** SSH as a session's protocol: logins, credentials, pinned keys, and how what passes is looked at. */
import ssh2 from 'ssh2';
import type { ByteChannel } from '../../bytes/channel.ts';
import type { Authorization } from '../../gate/authorization.ts';
import type { ConnectionGate } from '../../gate/gate.ts';
import { SshError } from '../../protocols/ssh/error.ts';
import type { AskedProgram } from '../../protocols/ssh/asked-program.ts';
import { relayProgram } from '../../protocols/ssh/exec.ts';
import { Inspections } from '../../protocols/ssh/inspections.ts';
import type { ShellClassifier } from '../../protocols/ssh/shell/classifier.ts';
import { relaySsh } from '../../protocols/ssh/relay.ts';
import { connectTarget, type SshHop, type SshTarget } from '../../protocols/ssh/target.ts';
import type { RelayConfig } from '../config/config.ts';
import { settingValue } from '../config/secret.ts';
import type { SshTargetConfig } from '../config/targets.ts';
import { dialTarget } from '../dial.ts';
import { RelayError } from '../error.ts';
import { pinnedKeys } from '../host-keys.ts';
import type { RelayLogger } from '../logging.ts';
import type { RelayMetrics } from '../metrics.ts';
import { endText } from './end-text.ts';
import { loginOf } from './grants.ts';
import { hopOf } from './ssh-hops.ts';
import type { ServedConnection, SessionProtocol } from './protocol.ts';

export interface SshProtocolOptions {
  readonly authorization: Authorization;
  readonly target: SshTargetConfig;
  readonly config: RelayConfig;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
  /** PEM. */
  readonly hostKey: string;
  readonly classifier: Pick<ShellClassifier, 'classify'>;
}

/** A connection that the opening of the session made waits this long for its first client. */
const spareMs = 15_000;

/** @throws RelayError `connect-denied`: no login at the target is for this person */
export function sshProtocol(options: SshProtocolOptions): SessionProtocol {
  const { target, metrics, hostKey, classifier } = options;
  const user = loginOf(target, options.authorization.principal);
  if (user === null)
    throw new RelayError(
      'connect-denied',
      `You may not connect to ${target.name}: it has no login for you.`,
      {
        hint: 'ask its operator; logins of the target say who signs in as whom',
      },
    );
  const reach = (): Promise<SshTarget> => connectThere(options, user);
  const spare = new Spare();
  const connect = async (): Promise<SshTarget> => spare.take() ?? reach();
  const inspections = new Inspections((text) => classifier.classify(text, 'terminal'));
  /** Of every program, whoever asks for it. */
  const shared = {
    connect,
    time,
    classify: (text: Uint8Array, terminal: boolean) =>
      classifier.classify(text, terminal ? 'terminal' : 'pipe'),
    inspect: (asked: AskedProgram) => inspections.for(asked),
  };
  return {
    name: 'ssh',
    ssh: { hostKey: publicOf(hostKey) },
    literals: { values: noValues, decimalOf: () => null, input: 'bytes' },
    probe: async () => {
      const reached = await reach().catch((cause: unknown) => {
        options.logger.warn('target unreachable', { target: target.name }, cause);
        throw unreachable(target.name, cause);
      });
      spare.keep(reached);
      return reached.software;
    },
    serve: (client: ByteChannel, gate: () => ConnectionGate): ServedConnection => {
      metrics.tally.connections++;
      const relay = relaySsh({
        client,
        gate,
        hostKey,
        ...shared,
      });
      return { closed: relay.closed, fail: (why) => relay.fail(endText(why)) };
    },
    exec: (client, asked, gate) => {
      metrics.tally.connections++;
      return relayProgram({ client, asked, gate, ...shared });
    },
  };
}

const time = {
  now: () => performance.now(),
  after: (ms: number, work: () => void) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** The first connection: opening a session proves that the target takes the relay's credential, and is not done twice. */
class Spare {
  #target: SshTarget | null = null;
  #timer: NodeJS.Timeout | null = null;

  keep(target: SshTarget): void {
    this.#target = target;
    target.client.on('error', () => undefined);
    target.client.once('close', () => this.#forget(target));
    this.#timer = setTimeout(() => this.#drop(), spareMs).unref();
  }

  take(): SshTarget | null {
    const target = this.#target;
    this.#forget(target);
    return target;
  }

  #drop(): void {
    this.#target?.close();
    this.#forget(this.#target);
  }

  #forget(target: SshTarget | null): void {
    if (this.#target !== target) return;
    this.#target = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

async function connectThere(
  { authorization, target, config }: SshProtocolOptions,
  user: string,
): Promise<SshTarget> {
  const jumps = target.jump.map((hop, at) =>
    hopOf(hop, settingValue(hop.user), pinnedKeys(config, target, at)),
  );
  const hops: [SshHop, ...SshHop[]] = [
    ...jumps,
    hopOf(target, user, pinnedKeys(config, target, null)),
  ] as never;
  const [{ host, port }] = hops;
  return connectTarget({
    hops,
    dial: async () => {
      const there = { name: target.name, host, port, tls: { mode: 'disable' } as const };
      return (await dialTarget(authorization, there)).channel;
    },
  });
}

function publicOf(hostKey: string): string {
  const key = ssh2.utils.parseKey(hostKey);
  if (key instanceof Error) throw key;
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}

function unreachable(target: string, cause: unknown): RelayError {
  const why = cause instanceof SshError ? cause.message : 'the relay failed to reach it';
  const hint = cause instanceof SshError ? cause.hint : undefined;
  return new RelayError('target-unreachable', `The target ${target} cannot be used: ${why}.`, {
    hint: hint ?? 'its operator finds the reason in the relay’s log',
    cause,
  });
}

/** Environments are searched as one text. */
const noValues = {
  count: 0,
  starts: new Int32Array(0),
  ends: new Int32Array(0),
  parameters: new Int32Array(0),
  formats: new Int32Array(0),
  binary: false,
  read: () => false,
};
