/**
 * Processor time of masked bulk without sockets, TLS and tunnel: the rows' path, which is framing, finding and masking values, the
 * record and the sealing of originals, over the rows of the bench's table `people`. Megabytes of the target's answer for a second
 * of the process. `node --cpu-prof test/bench/masked-rows.ts` shows where it goes.
 *
 * `node test/bench/masked-rows.ts --against DIRECTORY [PAIRS [WORD]]` takes turns with the same file of another worktree, round by round,
 * and prints medians of the ratios: on a busy machine nothing else can be compared.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ByteChannel, ByteReceiver } from '../../src/bytes/channel.ts';
import { parseRecipient } from '../../src/evidence/recording/age.ts';
import { openName } from '../../src/evidence/recording/layout.ts';
import { SessionRecorder } from '../../src/evidence/recording/recorder.ts';
import type { SealedFile } from '../../src/evidence/recording/sealed-file.ts';
import { Sealer, type ClosedSegment } from '../../src/evidence/recording/sealer.ts';
import { MaskedRecorder } from '../../src/gate/masked-recorder.ts';
import { SessionGate } from '../../src/gate/session-gate.ts';
import type { SessionId } from '../../src/model/ids.ts';
import { CancelKeys } from '../../src/protocols/postgres/cancel-keys.ts';
import { decimalOf, RecordedValues } from '../../src/protocols/postgres/recorded-values.ts';
import { Catalog, Catalogs } from '../../src/protocols/postgres/masking/catalog.ts';
import type { CopyStatement } from '../../src/protocols/postgres/masking/copy-statement.ts';
import type { Column } from '../../src/protocols/postgres/messages/query.ts';
import { relayPostgres } from '../../src/protocols/postgres/relay.ts';
import { systemClock } from '../../src/system/clock.ts';
import { decideBy, permitAll } from '../gate/deciding.ts';
import { maskingOf } from '../protocols/postgres/masking/support.ts';
import { int16, int32, message, ready, startupMessage } from '../protocols/postgres/scripted.ts';
import { targetOptions } from '../protocols/postgres/support.ts';

const chunkBytes = 65_536;
const rowCount = 40_000;
const pairsByDefault = 40;

class Ends implements ByteChannel {
  receiver!: ByteReceiver;
  written = 0;
  receive(receiver: ByteReceiver): void {
    this.receiver = receiver;
  }
  write(chunk: Uint8Array): boolean {
    this.written += chunk.length;
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** What a sealing thread does of its own is not the rows' path; nor is it to remove what it would have sealed. */
class DiscardingSealer extends Sealer {
  #files: string[] = [];

  override seal({ directory, index }: ClosedSegment): Promise<SealedFile> {
    this.#files.push(path.join(directory, openName(index)));
    return Promise.resolve({ sha256: '', bytes: 0, rawBytes: 0, sealed: null, originals: null });
  }

  discard(): void {
    for (const file of this.#files) unlinkSync(file);
    this.#files = [];
  }
}

/** As `fillPeople` of `run.ts` has them. */
function person(id: number): Readonly<Record<string, string>> {
  const digits = `4${String(id * 7919).padStart(14, '0')}`;
  let sum = 0;
  for (const [index, digit] of [...digits].entries())
    sum +=
      index % 2 === 0 ? Math.floor((Number(digit) * 2) / 10) + ((Number(digit) * 2) % 10) : Number(digit);
  return {
    id: String(id),
    name: `customer number ${id}`,
    email: `user${id}@example.com`,
    card: `${digits}${(10 - (sum % 10)) % 10}`,
    ssn: `${100 + (id % 500)}-${10 + (id % 89)}-${1000 + (id % 8999)}`,
    note: 'some ordinary words of a note '.repeat(3),
    created: new Date(Date.UTC(2026, 0, 1) + id * 1000).toISOString().slice(0, 19).replace('T', ' '),
  };
}

const typeOids: Readonly<Record<string, number>> = { id: 23, created: 1114 };
const columnSets: Readonly<Record<string, readonly string[]>> = {
  two: ['id', 'name', 'email', 'card', 'note', 'created'],
  three: ['id', 'name', 'email', 'card', 'ssn', 'note', 'created'],
  none: ['id', 'name', 'note', 'created'],
};

const columnOf = (name: string): Column => ({
  name,
  tableOid: 0,
  attributeNumber: 0,
  typeOid: typeOids[name] ?? 25,
  typeSize: -1,
  typeModifier: -1,
  format: 0,
});

/** What a COPY will send, without a target that is asked. */
class KnownCatalog extends Catalog {
  override copied({ query }: CopyStatement): Promise<readonly Column[]> {
    const [, columns] = /SELECT (.*) FROM/.exec(query!)!;
    return Promise.resolve(columns!.split(', ').map(columnOf));
  }
}

class KnownCatalogs extends Catalogs {
  readonly #catalog: Catalog;

  constructor(options: ConstructorParameters<typeof Catalogs>[0]) {
    super(options);
    this.#catalog = new KnownCatalog({ ...options, database: 'app' });
  }

  override of(): Catalog {
    return this.#catalog;
  }
}

interface Answer {
  readonly sql: string;
  readonly head: Buffer;
  readonly rows: Buffer;
  readonly tail: Buffer;
}

function answer(columns: readonly string[], copy: boolean): Answer {
  const people = Array.from({ length: rowCount }, (_, index) => person(100_000 + index));
  const fields = people.map((each) => columns.map((name) => each[name]!));
  const sql = `SELECT ${columns.join(', ')} FROM people`;
  if (copy)
    return {
      sql: `COPY (${sql}) TO STDOUT`,
      head: message('H', '\0', int16(columns.length, ...columns.map(() => 0))),
      rows: Buffer.concat(fields.map((row) => message('d', `${row.join('\t')}\n`))),
      tail: Buffer.concat([message('c'), message('C', `COPY ${rowCount}\0`), ready()]),
    };
  const described = columns
    .map(columnOf)
    .map(({ name, typeOid }) =>
      Buffer.concat([
        Buffer.from(`${name}\0`),
        int32(0),
        int16(0),
        int32(typeOid),
        int16(-1),
        int32(-1),
        int16(0),
      ]),
    );
  return {
    sql,
    head: message('T', int16(columns.length), ...described),
    rows: Buffer.concat(
      fields.map((row) =>
        message('D', int16(row.length), ...row.flatMap((value) => [int32(value.length), value])),
      ),
    ),
    tail: Buffer.concat([message('C', `SELECT ${rowCount}\0`), ready()]),
  };
}

type Kind = 'copy' | 'select';

const onFailure = (error: Error): void => {
  throw error;
};

/** One connection of a session that masks; returns what one round of an answer took. */
async function rowsPath(directory: string): Promise<(given: Answer) => Promise<number>> {
  const { generateIdentity, identityToRecipient } = await import('age-encryption');
  const recipient = parseRecipient(await identityToRecipient(await generateIdentity()))!;
  const masking = maskingOf({ name: 'personal', detect: ['email', 'card', 'us-ssn'] });
  const sealer = new DiscardingSealer({ append: () => Promise.resolve() });
  const recorder = new SessionRecorder({
    directory,
    session: '01JD0000000000000000000001' as SessionId,
    protocol: 'postgres',
    openedAtMs: Date.now(),
    clock: systemClock,
    durability: 'process',
    sealer,
    originals: [recipient],
    syncTimeoutMs: 3_600_000, // on a busy machine
    onFailure,
  });
  const commands = { succeeded: 0, failed: 0, blocked: 0, cancelled: 0, unknown: 0 };
  const gate = new SessionGate({
    recorder: new MaskedRecorder({
      recorder,
      masking,
      values: new RecordedValues(),
      decimalOf,
      input: 'copy-data',
    }),
    quoting: null,
    decide: decideBy(permitAll),
    reviews: null,
    blocked: () => Promise.resolve(),
    masking,
    durability: 'process',
    tally: { commands, bytesToClient: 0, bytesToTarget: 0, recorderFlushes: 0, recorderFlushSeconds: 0 },
    nowMs: () => systemClock.monotonicMs(),
    schedule: () => undefined,
    onFailure,
    onMaskingFailure: onFailure,
    onReleased: () => undefined,
  });
  const [client, target] = [new Ends(), new Ends()];
  const dial = async () => ({ channel: target, startTls: () => Promise.reject(new Error('none')) });
  const relay = relayPostgres({
    client,
    target: targetOptions(),
    gate: gate.connection(),
    cancelKeys: new CancelKeys(),
    catalogs: new KnownCatalogs({ dial, target: targetOptions(), nowMs: () => 0 }),
    dial,
  });
  client.receiver.data(startupMessage());
  while (target.written === 0) await new Promise(setImmediate);
  target.receiver.data(Buffer.concat([message('R', int32(0)), ready()]));
  await relay.ready;
  gate.flush();
  /** Reads go into the same memory again and again, as in the relay. */
  const memory = Buffer.alloc(chunkBytes);
  const receive = (bytes: Buffer): void => {
    for (let from = 0; from < bytes.length; from += chunkBytes) {
      const length = bytes.copy(memory, 0, from, from + chunkBytes);
      target.receiver.data(memory.subarray(0, length));
      gate.flush();
    }
  };
  return async ({ sql, head, rows, tail }) => {
    const asked = target.written;
    client.receiver.data(message('Q', `${sql}\0`));
    while (target.written === asked) {
      gate.flush();
      await new Promise(setImmediate);
    }
    const [finished, delivered] = [commands.succeeded, client.written];
    const begun = process.cpuUsage();
    receive(Buffer.concat([head]));
    receive(rows);
    receive(tail);
    const { user, system } = process.cpuUsage(begun);
    sealer.discard();
    if (commands.succeeded !== finished + 1) throw new Error('the answer was not delivered');
    if (client.written - delivered !== head.length + rows.length + tail.length)
      throw new Error('another number of bytes was delivered');
    return rows.length / (user + system);
  };
}

type Round = (name: string) => Promise<number>;
const names = Object.keys(columnSets).flatMap((columns) => [`select ${columns}`, `copy ${columns}`]);

async function rounds(directory: string): Promise<Round> {
  const path = await rowsPath(directory);
  const answers = new Map(
    names.map((name) => {
      const [kind, columns] = name.split(' ') as [Kind, string];
      return [name, answer(columnSets[columns]!, kind === 'copy')];
    }),
  );
  return (name) => path(answers.get(name)!);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Rounds on demand, for who takes turns with another worktree. */
async function serve(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-rows-'));
  process.on('disconnect', () => {
    rmSync(directory, { recursive: true, force: true });
    process.exit();
  });
  const round = await rounds(directory);
  process.on('message', async (name: string) => process.send!(await round(name)));
}

async function alone(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-rows-'));
  const round = await rounds(directory);
  for (const name of names) {
    const rates: number[] = [];
    for (let i = 0; i < 15; i++) rates.push(await round(name));
    console.log(`${name.padEnd(12)} ${median(rates).toFixed(0)} MB per CPU second`);
  }
  rmSync(directory, { recursive: true, force: true });
}

async function ask(child: ChildProcess, name: string): Promise<number> {
  child.send(name);
  const [rate] = await once(child, 'message');
  return rate as number;
}

async function compare(other: string, pairs: number, word: string): Promise<void> {
  const theirs = path.resolve(
    other,
    path.relative(path.join(import.meta.dirname, '../..'), import.meta.filename),
  );
  const [base, here] = [fork(theirs, ['--serve']), fork(import.meta.filename, ['--serve'])];
  for (const name of names.filter((each) => each.includes(word))) {
    const ratios: number[] = [];
    const rates: number[] = [];
    for (let pair = -5; pair < pairs; pair++) {
      // the second of a pair is not always the same one
      const first = pair % 2 === 0 ? base : here;
      const one = await ask(first, name);
      const two = await ask(first === base ? here : base, name);
      const [before, now] = first === base ? [one, two] : [two, one];
      if (pair < 0) continue; // what was compiled late
      ratios.push(before / now);
      rates.push(now);
    }
    console.log(
      `${name.padEnd(12)} ${median(ratios).toFixed(3)} of the other's processor time (${median(rates).toFixed(0)} MB per CPU second)`,
    );
  }
  base.disconnect();
  here.disconnect();
}

const [mode, other, pairs, word] = process.argv.slice(2);
if (mode === '--serve') await serve();
else if (mode === '--against' && other !== undefined)
  await compare(other, Number(pairs ?? pairsByDefault), word ?? '');
else await alone();
