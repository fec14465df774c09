/**
 * The background agent: one process a user, started on demand by `hoop connect --detach`, serving any number of
 * targets until the last one ends. It answers the control socket; it holds a lock for as long as it lives, so two
 * never serve at once.
 */
import path from 'node:path';
import { tryLock } from '../system/file-lock.ts';
import { ensurePrivateDirectory } from '../system/private-file.ts';
import { openAccount } from './account.ts';
import type { Account } from './account.ts';
import type {
  ConnectRequest,
  ControlAnswer,
  ControlRequest,
  DisconnectRequest,
  ServedView,
} from './control-protocol.ts';
import { serveControl } from './control-socket.ts';
import type { ControlServer } from './control-socket.ts';
import { directories } from './directories.ts';
import { AgentError } from './error.ts';
import { ServedTarget } from './served-target.ts';

export interface BackgroundOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Asks it to end everything and stop. */
  readonly signal: AbortSignal;
  /** It can be asked from now on. */
  ready(): void;
  /** For the agent's own log file: no user data. */
  log(line: string): void;
}

interface Served {
  readonly target: ServedTarget;
  readonly account: Account;
}

/** How long a fresh agent waits for its first request. */
const firstRequestMs = 15_000;

/** Runs until nothing is left to serve. @returns false when another agent is running */
export async function runBackground(options: BackgroundOptions): Promise<boolean> {
  const { runtime } = directories(options.environment);
  await ensurePrivateDirectory(runtime);
  const lock = tryLock(path.join(runtime, 'agent.lock'));
  if (lock === null) return false;
  try {
    await new Background(options).run(runtime);
    return true;
  } finally {
    lock.release();
  }
}

class Background {
  readonly #options: BackgroundOptions;
  readonly #served = new Map<string, Served>();
  /** Targets being opened: a second request for one is refused rather than served twice. */
  readonly #opening = new Set<string>();
  readonly #stopped = Promise.withResolvers<void>();
  #server: ControlServer | null = null;
  #stopping = false;

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  async run(runtime: string): Promise<void> {
    this.#server = await serveControl(
      runtime,
      (request, gone) => this.#answer(request, gone),
      () => this.#stopWhenIdle(),
    );
    const stop = () => void this.#stop();
    this.#options.signal.addEventListener('abort', stop, { once: true });
    if (this.#options.signal.aborted) stop();
    const first = setTimeout(() => this.#stopWhenIdle(), firstRequestMs);
    this.#options.ready();
    await this.#stopped.promise;
    clearTimeout(first);
  }

  #answer(request: ControlRequest, gone: AbortSignal): Promise<ControlAnswer> {
    switch (request.op) {
      case 'connect':
        return this.#connect(request, gone);
      case 'status':
        return Promise.resolve({ ok: true, served: this.#views() });
      case 'disconnect':
        return this.#disconnect(request);
      default:
        return request satisfies never;
    }
  }

  async #connect(request: ConnectRequest, gone: AbortSignal): Promise<ControlAnswer> {
    const { relay, profile, caFile, port, socket, machine, ...wish } = request;
    const { target } = wish;
    const key = `${target} ${profile}`;
    if (this.#served.has(key) || this.#opening.has(key))
      throw new AgentError('target-already-connected', `${target} is already connected`, {
        hint: 'see it: hoop status; end it: hoop disconnect',
      });
    if (this.#stopping) throw new AgentError('agent-unreachable', 'the background agent is stopping');
    this.#opening.add(key);
    try {
      const { environment, log } = this.#options;
      const account = await openAccount({
        relay,
        profile,
        caFile,
        machine,
        warn: log,
        environment,
        // The CLI has chosen.
        choose: () => ({ name: profile, relay }),
      });
      const served = await ServedTarget.open(account, wish, { port, socket }).catch(
        async (error: unknown) => {
          await account.close();
          throw error;
        },
      );
      this.#served.set(key, { target: served, account });
      void served.ended.then((end) => this.#ended(key, end.text));
      // Nobody learns of it: the person pressed Ctrl-C meanwhile.
      if (gone.aborted || this.#stopping) await served.close();
      return { ok: true, served: [served.view()] };
    } finally {
      this.#opening.delete(key);
    }
  }

  async #disconnect({ relay, profile, target }: DisconnectRequest): Promise<ControlAnswer> {
    const chosen = [...this.#served.values()]
      .map((served) => served.target)
      .filter((served) => target === null || served.view().target === target)
      .filter((served) => relay === null || served.view().relay === relay)
      .filter((served) => profile === null || served.view().profile === profile);
    if (chosen.length === 0 && target !== null)
      throw new AgentError('target-not-connected', `${target} is not connected in the background`, {
        hint: 'see what is: hoop status',
      });
    const views = chosen.map((served) => served.view());
    await Promise.all(chosen.map((served) => served.close()));
    return { ok: true, served: views };
  }

  #views(): ServedView[] {
    return [...this.#served.values()].map((served) => served.target.view());
  }

  async #ended(key: string, text: string): Promise<void> {
    const served = this.#served.get(key);
    this.#served.delete(key);
    this.#options.log(text);
    await served?.account.close();
    this.#stopWhenIdle();
  }

  #stopWhenIdle(): void {
    if (this.#served.size === 0 && this.#opening.size === 0 && this.#server?.busy === 0) void this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    // First no new request, then every session ended at the relay, then the process may go.
    await Promise.all([...this.#served.values()].map((served) => served.target.close()));
    this.#server?.close();
    this.#stopped.resolve();
  }
}
