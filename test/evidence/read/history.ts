/** A real log and real recordings of two sessions, written while the clock says what the tests need. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NewEntry } from '../../../src/evidence/entry.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import type { OriginalsPolicy } from '../../../src/evidence/recording/originals.ts';
import { SessionRecorder } from '../../../src/evidence/recording/recorder.ts';
import { unknownFacts, type CommandFacts } from '../../../src/model/command-facts.ts';
import { Sealer } from '../../../src/evidence/recording/sealer.ts';
import type { SessionId } from '../../../src/model/ids.ts';

export const [anaSession, benSession, anaLogin, benLogin] = [1, 2, 3, 4].map(
  (n) => `01JD000000000000000000000${n}`,
) as [SessionId, SessionId, string, string];

/** Of Ana's first command. */
export const anaReview = '01JD0000000000000000000009';

const succeeded = (tag: string, rows: number) => ({ kind: 'succeeded' as const, tag, rows, errorCode: null });

const actor = (subject: string) => ({
  kind: 'person' as const,
  issuer: 'https://id.example',
  subject,
  email: `${subject}@example.com`,
});

export class History implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hoop-history-'));
  /** Milliseconds since the epoch; time goes on only when told. */
  now = Date.UTC(2026, 10, 21, 12);
  /** Of sessions opened from now on. */
  originals: OriginalsPolicy | null = null;
  readonly clock = { wallMs: () => this.now, monotonicMs: () => this.now };
  #log: Log | null = null;
  #sealer: Sealer | null = null;

  async open(): Promise<this> {
    const signer = NoteSigner.generate('relay.example/log');
    this.#log = await Log.open({ directory: path.join(this.directory, 'log'), signer, clock: this.clock });
    this.#sealer = new Sealer({ append: (entry) => this.append(entry) });
    return this;
  }

  append = (entry: NewEntry) => this.#log!.append(entry);

  async login(login: string, subject: string): Promise<void> {
    await this.append({
      kind: 'login',
      actor: actor(subject),
      login,
      renews: null,
      groups: ['engineering'],
      method: 'device-code',
      key: { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) },
      thumbprint: 't'.repeat(43),
      binding: 'bound-by-relay',
      idTokenDigest: '0'.repeat(64),
    });
  }

  async session(
    session: SessionId,
    login: string,
    subject: string,
    task: string | null,
    { target, protocol } = { target: 'db-prod', protocol: 'postgres' },
  ) {
    const { time } = await this.append({
      kind: 'session.opened',
      actor: actor(subject),
      session,
      login,
      target,
      protocol,
      reason: 'because',
      task,
      deadline: new Date(this.now + 3_600_000).toISOString(),
      policies: ['p'],
      request: 'a.b.c',
    });
    return new SessionRecorder({
      directory: this.directory,
      session,
      protocol,
      openedAtMs: Date.parse(time),
      clock: this.clock,
      durability: 'process',
      sealer: this.#sealer!,
      originals: this.originals,
      onFailure: (error) => {
        throw error;
      },
    });
  }

  async close(session: SessionId, recorder: SessionRecorder): Promise<void> {
    const { lastSegmentIndex, totals } = await recorder.close();
    await this.append({
      kind: 'session.closed',
      actor: { kind: 'relay' },
      session,
      outcome: 'ended',
      lastSegment: lastSegmentIndex,
      totals,
    });
  }

  async publish(): Promise<void> {
    await this.#log!.checkpoint();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sealer?.close();
    await this.#log?.close();
    rmSync(this.directory, { recursive: true });
  }
}

/** Two sessions side by side; the first command of the first one is the longest. */
export async function twoSessions(history: History): Promise<() => Promise<void>> {
  await history.login(anaLogin, 'ana');
  await history.login(benLogin, 'ben');
  const ana = await history.session(anaSession, anaLogin, 'ana', 'migration');
  history.now += 10;
  const ben = await history.session(benSession, benLogin, 'ben', null);
  const at = (ms: number): void => void (history.now += ms);
  ana.connectionOpened(1, { parameters: { user: 'ana', client_encoding: 'LATIN1' }, serverVersion: '15.18' });
  at(10);
  ana.command(
    1,
    1,
    Buffer.from('select pg_sleep(1) -- caf\xe9', 'latin1'),
    null,
    'allow',
    facts(['read'], { functions: ['pg_sleep'] }),
    anaReview,
  );
  ana.flush();
  at(10);
  ben.connectionOpened(1, { parameters: { user: 'ben' }, serverVersion: '15.18' });
  ben.statement(1, 1, Buffer.from('select $1::int, $2'), [23, 25], unknownFacts);
  ben.command(
    1,
    1,
    1,
    bind([
      ['0000002a', 1],
      ['61', 0],
      [null, 0],
    ]),
    'allow',
    null,
    null,
  );
  ben.flush();
  at(10);
  ben.outcome(1, 1, succeeded('SELECT 1', 1));
  ben.flush();
  ana.connectionOpened(2, { parameters: { user: 'ana' }, serverVersion: '15.18' });
  ana.command(2, 2, Buffer.from('drop table x'), null, 'deny', null, null);
  ana.outcome(2, 2, { kind: 'blocked', tag: null, rows: 0, errorCode: '42501' });
  ana.flush();
  at(10);
  ana.outcome(1, 1, succeeded('SELECT 1', 1));
  ana.command(2, 3, Buffer.from([0x73, 0xff]), null, 'allow', null, null);
  ana.flush();
  at(10);
  return async () => {
    await history.close(anaSession, ana);
    await history.close(benSession, ben);
  };
}

const facts = (effects: CommandFacts['effects'], more: Partial<CommandFacts> = {}): CommandFacts => ({
  effects,
  relations: [],
  functions: [],
  programs: [],
  ...more,
});

const exit = (code: number) =>
  code === 0
    ? { kind: 'succeeded' as const, tag: 'exit 0', rows: 0, errorCode: null }
    : { kind: 'failed' as const, tag: `exit ${code}`, rows: 0, errorCode: `exit ${code}` };

/** What a reader should find of `serverSession`. */
export const typed = { shell: 'ls; echo é\r\n', resized: 'end\r\n' };

/**
 * Ana at a server: a shell with two lines in it (channel 1), meanwhile a program without a terminal (2), a file (3) and a
 * forwarded connection (4). Events are 10 ms apart, the last line 10 s.
 */
export async function serverSession(history: History): Promise<{
  recorder: SessionRecorder;
  /** The shell ends, and with it the session. */
  end: () => Promise<void>;
}> {
  await history.login(anaLogin, 'ana');
  const where = { target: 'server', protocol: 'ssh' };
  const recorder = await history.session(anaSession, anaLogin, 'ana', null, where);
  const step = (ms = 10): void => {
    recorder.flush();
    history.now += ms;
  };
  const line = (number: number, text: string, how: 'reconstructed' | 'marked', about: CommandFacts): void => {
    recorder.origin(1, number, { parent: 1, how });
    recorder.command(1, number, Buffer.from(text), null, 'allow', about, null);
  };
  recorder.connectionOpened(1, { parameters: { channel: 'shell', term: 'xterm' }, serverVersion: null });
  const environment = Buffer.from('LANG=C.UTF-8\0TZ=UTC');
  recorder.command(1, 1, Buffer.from('shell'), environment, 'allow', facts(['shell']), null);
  recorder.resize(1, 1, 100, 30);
  step();
  // A character in two pieces.
  const whole = Buffer.from(typed.shell);
  recorder.output(1, 1, whole.subarray(0, 10));
  step();
  recorder.output(1, 1, whole.subarray(10));
  recorder.input(1, 1, Buffer.from('**\r'));
  const paths = ['/', '/etc/', '/etc/shadow'];
  line(2, 'cat /etc/shadow', 'reconstructed', facts(['read'], { programs: ['cat'], paths }));
  step();
  recorder.outcome(1, 2, { kind: 'unknown', tag: null, rows: 0, errorCode: null });

  recorder.connectionOpened(2, { parameters: { channel: 'exec' }, serverVersion: null });
  recorder.command(
    2,
    3,
    Buffer.from('build --all'),
    null,
    'allow',
    facts(['unknown'], { programs: ['build'] }),
    null,
  );
  step();
  recorder.output(2, 3, Buffer.from('one\ntw'));
  step();
  recorder.errorOutput(2, 3, Buffer.from('warning: é\n'));
  recorder.output(2, 3, Buffer.from('o\n'));
  recorder.outcome(2, 3, exit(3));
  recorder.connectionClosed(2, 'ended');

  recorder.connectionOpened(3, { parameters: { channel: 'subsystem' }, serverVersion: null });
  recorder.command(3, 4, Buffer.from('subsystem sftp'), null, 'allow', facts(['file']), null);
  recorder.command(
    3,
    5,
    Buffer.from('get /srv/data'),
    null,
    'allow',
    facts(['read', 'file'], { paths: ['/', '/srv/', '/srv/data'] }),
    null,
  );
  step();
  recorder.outcome(3, 5, {
    kind: 'succeeded',
    tag: `3 bytes sha256:${'0'.repeat(64)}`,
    rows: 0,
    errorCode: null,
  });
  recorder.outcome(3, 4, exit(0));
  recorder.connectionClosed(3, 'ended');

  recorder.connectionOpened(4, { parameters: { channel: 'forward' }, serverVersion: null });
  const destinations = ['db.internal:5432'];
  recorder.command(
    4,
    6,
    Buffer.from('forward local db.internal:5432'),
    null,
    'allow',
    facts(['forward'], { destinations }),
    null,
  );
  recorder.input(4, 6, Buffer.from([0xff, 0x00]));
  recorder.outcome(4, 6, { kind: 'succeeded', tag: null, rows: 0, errorCode: null });
  recorder.connectionClosed(4, 'ended');

  recorder.resize(1, 1, 120, 40);
  line(7, 'exit 0', 'marked', facts(['session']));
  step(10_000);
  return {
    recorder,
    end: async () => {
      recorder.output(1, 1, Buffer.from(typed.resized));
      recorder.outcome(1, 7, exit(0));
      recorder.outcome(1, 1, exit(0));
      recorder.connectionClosed(1, 'ended');
      step();
      await history.close(anaSession, recorder);
    },
  };
}

const int16 = (value: number): string => value.toString(16).padStart(4, '0');
const int32 = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** A Bind from its parameter format codes on. */
export function bind(values: readonly (readonly [hex: string | null, format: number])[]): Buffer {
  const formats = values.map(([, format]) => int16(format)).join('');
  const content = values.map(([hex]) => (hex === null ? 'ffffffff' : int32(hex.length / 2) + hex)).join('');
  return Buffer.from(`${int16(values.length)}${formats}${int16(values.length)}${content}0000`, 'hex');
}
