/** PostgreSQL's messages from arbitrary and hostile bytes, and the relay's bookkeeping against a model of the server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoopError } from '../../src/errors.ts';
import { decodeAuthentication } from '../../src/protocols/postgres/messages/authentication.ts';
import { decodeErrorResponse, encodeErrorResponse } from '../../src/protocols/postgres/messages/error.ts';
import { encodeMessage, MessageSplitter } from '../../src/protocols/postgres/messages/frame.ts';
import type { Message } from '../../src/protocols/postgres/messages/frame.ts';
import * as query from '../../src/protocols/postgres/messages/query.ts';
import { decodeStartupPacket } from '../../src/protocols/postgres/messages/startup.ts';
import { formatValue } from '../../src/protocols/postgres/messages/values.ts';
import { error, int16, int32, message, ready, script, started } from '../protocols/postgres/scripted.ts';

const bytes = (maxLength = 200) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

const decoders: ((body: Buffer) => unknown)[] = [
  decodeAuthentication,
  decodeErrorResponse,
  decodeStartupPacket,
  query.decodeRowDescription,
  query.decodeDataRow,
  query.decodeCommandComplete,
  query.decodeParameterDescription,
  query.decodeNotificationResponse,
  query.decodeCopyResponse,
  (body) => query.decodeParse(body),
  query.decodeBindParameters,
  query.decodeFunctionArguments,
];

test('a decoder gives a value or an error of its own for any bytes', () => {
  fc.assert(
    fc.property(bytes(), (body) => {
      for (const decode of decoders) {
        try {
          decode(body);
        } catch (failure) {
          assert.ok(failure instanceof HoopError, String(failure));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('any value of any type has a text', () => {
  const types = fc.constantFrom(
    16,
    17,
    20,
    21,
    23,
    25,
    26,
    700,
    701,
    1082,
    1083,
    1114,
    1184,
    1700,
    2950,
    3802,
    99_999,
  );
  fc.assert(
    fc.property(types, fc.constantFrom(0, 1), bytes(40), (type, format, value) => {
      assert.equal(typeof formatValue(type, format, value), 'string');
    }),
    { numRuns: 5000 },
  );
});

/** Cuts `whole` at random places. */
const cut = (whole: Buffer, seeds: readonly number[]): Buffer[] => {
  const at = [...new Set(seeds.map((seed) => seed % (whole.length + 1)))].toSorted((a, b) => a - b);
  return [...at, whole.length].map((end, i) => whole.subarray(at[i - 1] ?? 0, end));
};

test('the splitter gives the same messages however the stream is cut', () => {
  const type = fc.integer({ min: 1, max: 255 });
  const messages = fc.array(fc.tuple(type, bytes(50)), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.nat()), (wanted, seeds) => {
      const stream = Buffer.concat(
        wanted.map(([first, body]) =>
          Buffer.concat([Buffer.from([first]), encodeMessage('x', body).subarray(1)]),
        ),
      );
      const splitter = new MessageSplitter(1000);
      const got: Message[] = cut(stream, seeds).flatMap((piece) => Array.from(splitter.push(piece)));
      assert.deepEqual(
        got.map(({ type, body }) => [type, Buffer.from(body)]),
        wanted,
      );
      assert.equal(splitter.pending, 0);
    }),
  );
});

test('what is encoded as an error is decoded as the same', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0'));
  fc.assert(
    fc.property(text, fc.option(text), (words, hint) => {
      const encoded = encodeErrorResponse('ERROR', { sqlstate: '42501', message: words, hint });
      const decoded = decodeErrorResponse(encoded.subarray(5));
      assert.deepEqual([decoded.sqlstate, decoded.message, decoded.hint], ['42501', words, hint]);
    }),
  );
});

/** A stream that looks like the protocol: known types, plausible and impossible lengths. */
const hostile = (types: string) =>
  fc
    .array(
      fc.oneof(
        fc.tuple(fc.constantFrom(...types), bytes(30)).map(([type, body]) => message(type, body)),
        fc
          .tuple(fc.constantFrom(...types), fc.string({ maxLength: 10 }))
          .map(([type, text]) => message(type, `${text}\0`)),
        fc
          .tuple(fc.constantFrom(...types), fc.nat())
          .map(([type, n]) => Buffer.concat([Buffer.from(type), int32(n)])),
        bytes(20),
      ),
      { maxLength: 12 },
    )
    .map((parts) => Buffer.concat(parts));

test('hostile ends: each command has one outcome, what is forwarded was sent, and it ends with an error or not at all', async () => {
  const front = hostile('QPBEDCFHSXdcfpz');
  const back = hostile('123ACDEGHINSTVWZcdnstRK');
  await fc.assert(
    fc.asyncProperty(
      front,
      back,
      fc.array(fc.nat(), { maxLength: 6 }),
      async (fromClient, fromTarget, seeds) => {
        const played = await started({ messageLimitBytes: 0x3fffffff }); // so that nothing is replaced
        const pieces = [cut(fromClient, seeds), cut(fromTarget, seeds)] as const;
        for (let i = 0; i < Math.max(pieces[0].length, pieces[1].length); i++) {
          if (pieces[0][i]?.length) played.client.send(pieces[0][i]!);
          if (pieces[1][i]?.length) played.target.send(pieces[1][i]!);
          played.gate.release();
        }
        const forwarded = played.targets[0]!.received;
        assert.ok(isPrefix(forwarded, fromClient), 'what is forwarded was sent');
        played.relay.fail({ sqlstate: '57P01', message: 'over', hint: null });
        for (const { text, outcomes } of played.gate.commands) assert.equal(outcomes.length, 1, text);
        const recorded = Buffer.concat(played.gate.outputs.map((output) => output.bytes));
        const received = played.client.received;
        assert.ok(recorded.subarray(0, received.length).equals(received.subarray(0, recorded.length)));
      },
    ),
    { numRuns: 1500 },
  );
});

/** Apart from a Flush of the relay's own. */
function isPrefix(forwarded: Buffer, sent: Buffer): boolean {
  const flush = message('H');
  let at = 0;
  for (let i = 0; i < forwarded.length; i++, at++) {
    if (forwarded[i] === sent[at]) continue;
    if (!forwarded.subarray(i, i + flush.length).equals(flush)) return false;
    [i, at] = [i + flush.length - 1, at - 1];
  }
  return true;
}

test('any first bytes of a client end with an error, or wait for more', async () => {
  await fc.assert(
    fc.asyncProperty(bytes(60), async (first) => {
      const played = script();
      played.client.send(first);
      played.relay.fail({ sqlstate: '57P01', message: 'over', hint: null });
      assert.equal(await played.relay.ready, false);
      assert.equal(played.gate.commands.length, 0);
    }),
    { numRuns: 300 },
  );
});

// ---- a model of the server ----

type Action =
  | { readonly do: 'parse'; readonly name: string; readonly text: string }
  | { readonly do: 'bind'; readonly name: string }
  | { readonly do: 'close'; readonly name: string }
  | { readonly do: 'query'; readonly text: string }
  | { readonly do: 'execute' | 'sync' };

/** The last two differ behind what the server compares. */
const names = fc.constantFrom('', 'a', 'b', `${'x'.repeat(63)}1`, `${'x'.repeat(63)}2`);
const texts = fc.constantFrom(
  'select 1',
  'select 2',
  'fail',
  'deallocate a',
  'deallocate all',
  'prepare a as select 3',
  'selec',
);
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('parse' as const), name: names, text: texts }),
    fc.record({ do: fc.constant('bind' as const), name: names }),
    fc.record({ do: fc.constant('close' as const), name: names }),
    fc.record({ do: fc.constant('query' as const), text: texts }),
    fc.record({ do: fc.constantFrom('execute' as const, 'sync' as const) }),
    fc.record({ do: fc.constantFrom('execute' as const, 'sync' as const) }),
  ),
  { maxLength: 24 },
);

function encode(action: Action): Buffer {
  switch (action.do) {
    case 'parse':
      return message('P', `${action.name}\0${action.text}\0`, int16(0));
    case 'bind':
      return message('B', `\0${action.name}\0`, int16(0, 0, 0));
    case 'close':
      return message('C', `S${action.name}\0`);
    case 'query':
      return message('Q', `${action.text}\0`);
    case 'execute':
      return message('E', '\0', int32(0));
    case 'sync':
      return message('S');
  }
}

/** Names as far as the server compares them. */
const compared = ([first = '', second = '']: readonly string[], type: string): [string, string] => [
  type === 'P' ? first.slice(0, 63) : type === 'C' ? first.slice(0, 64) : first,
  type === 'B' ? second.slice(0, 63) : second,
];

/** The relay may ask for answers that the client did not ask for. */
const withoutFlush = (sent: Buffer): Buffer =>
  Buffer.concat(
    [...new MessageSplitter().push(sent)].map(({ type, body }) =>
      type === 0x48 ? Buffer.alloc(0) : message(String.fromCharCode(type), body),
    ),
  );

/** PostgreSQL as far as names of statements go; notes which text really ran behind each Bind and Query. */
class Model {
  readonly #statements = new Map<string, string>();
  #portal: string | null = null;
  #skipping = false;
  readonly bound: { name: string; text: string }[] = [];

  answer(type: string, body: Buffer): Buffer {
    if (this.#skipping && type !== 'S') return Buffer.alloc(0);
    const [first = '', second = ''] = compared(body.toString('latin1').split('\0'), type);
    switch (type) {
      case 'H':
        return Buffer.alloc(0);
      case 'P': {
        if (first === '') this.#statements.delete('');
        else if (this.#statements.has(first)) return this.#fail('42P05');
        if (second === 'selec') return this.#fail('42601');
        this.#statements.set(first, second);
        return message('1');
      }
      case 'B': {
        const text = this.#statements.get(second);
        if (text === undefined) return this.#fail('26000');
        this.#portal = text;
        this.bound.push({ name: second, text });
        return message('2');
      }
      case 'C':
        this.#statements.delete(first.slice(1));
        return message('3');
      case 'E': {
        if (this.#portal === null) return this.#fail('34000');
        const tag = this.#run(this.#portal);
        this.#portal = null;
        return tag === null ? this.#fail('XX001') : message('C', `${tag}\0`);
      }
      case 'Q': {
        this.#statements.delete('');
        this.#portal = null;
        const tag = this.#run(first);
        return Buffer.concat([tag === null ? error('XX002') : message('C', `${tag}\0`), ready()]);
      }
      default:
        this.#skipping = false;
        this.#portal = null;
        return ready();
    }
  }

  #run(text: string): string | null {
    if (text === 'deallocate a') return this.#statements.delete('a') ? 'DEALLOCATE' : null;
    if (text === 'deallocate all') {
      for (const name of this.#statements.keys()) if (name !== '') this.#statements.delete(name);
      return 'DEALLOCATE ALL';
    }
    if (text.startsWith('prepare')) {
      if (this.#statements.has('a')) return null;
      this.#statements.set('a', 'select 3');
      return 'PREPARE';
    }
    return text === 'fail' || text === 'selec' ? null : 'SELECT 0';
  }

  #fail(sqlstate: string): Buffer {
    this.#skipping = true;
    return error(sqlstate);
  }
}

test('no statement runs under another text than the recorded one, however it is pipelined, renamed, or failing', async () => {
  await fc.assert(
    fc.asyncProperty(actions, fc.array(fc.nat(5), { maxLength: 24 }), async (wanted, pace) => {
      const played = await started();
      const model = new Model();
      const splitter = new MessageSplitter();
      let read = 0;
      const serve = (most: number): void => {
        played.gate.release();
        const fresh = played.target.received.subarray(read);
        read += fresh.length;
        waiting.push(...splitter.push(Buffer.from(fresh)));
        for (const { type, body } of waiting.splice(0, most)) {
          played.target.send(model.answer(String.fromCharCode(type), body));
        }
      };
      const waiting: Message[] = [];
      for (const [i, action] of wanted.entries()) {
        played.client.send(encode(action));
        serve(pace[i] ?? 0);
      }
      played.client.send(message('S'));
      for (let i = 0; i < 60; i++) serve(1000);
      assert.equal(played.gate.reason, null);
      const sent = Buffer.concat([...wanted.map(encode), message('S')]);
      assert.deepEqual(withoutFlush(played.target.received), sent);
      for (const { text, outcomes } of played.gate.commands) {
        assert.ok(outcomes.length <= 1, text);
        if (outcomes.length === 0) assert.fail(`${text} has no outcome`);
      }
      // Commands of Binds that the target accepted, in order, against what it bound.
      const accepted = played.gate.commands.filter(
        ({ parameters, outcomes }) => parameters !== null && !rejected.has(outcomes[0]!.errorCode ?? ''),
      );
      const skipped = accepted.filter(({ outcomes }) => outcomes[0]!.kind === 'cancelled');
      const ran = accepted.filter(({ outcomes }) => outcomes[0]!.kind !== 'cancelled');
      // A Bind that was accepted and then skipped is among both; compare as a subsequence.
      let at = 0;
      for (const { name, text } of model.bound) {
        const all = [...skipped, ...ran].toSorted((a, b) => a.command - b.command);
        while (at < all.length && !matches(all[at]!.text, name, text)) {
          assert.equal(all[at]!.outcomes[0]!.kind, 'cancelled', `${all[at]!.text} was recorded, ${text} ran`);
          at++;
        }
        assert.ok(at < all.length, `${text} of "${name}" ran and is not recorded`);
        at++;
      }
    }),
    { numRuns: 1500 },
  );
});

/** Outcomes of Binds that failed as such. */
const rejected = new Set(['26000']);
const matches = (recorded: string, name: string, text: string): boolean =>
  recorded === text || recorded === `EXECUTE "${name}"`;
