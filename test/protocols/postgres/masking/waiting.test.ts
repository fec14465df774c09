/** What waits for answers goes on also when those had to wait for the names of columns, against a real server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { eventually } from '../../../support/eventually.ts';
import { passwordOf, postgresMissing, startPostgres } from '../../../support/postgres.ts';
import type { PostgresServer } from '../../../support/postgres.ts';
import { int32, message, packet } from '../scripted.ts';
import { listenRelay, targetOptions } from '../support.ts';
import type { RelayServer } from '../support.ts';
import { maskingOf } from './support.ts';

const options = { skip: postgresMissing, timeout: 20_000 };
let server: PostgresServer;
let relay: RelayServer;

before(async () => {
  if (postgresMissing !== false) return;
  server = await startPostgres();
  await server.sql(`create table people (note text); insert into people values ('private');
    grant all on people to app;`);
  const classifier = await openClassifier();
  relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    masking: maskingOf({ columns: ['public.people.note'] }),
    classify: (text) => classifier.classify(text),
    policy: (text) => ({ kind: text.startsWith('delete') ? 'review' : 'allow' }),
  });
});
after(async () => {
  await relay?.stop();
  await server?.stop();
});

const Q = (text: string): Buffer => message('Q', `${text}\0`);

/** Sends all at once, when the connection is ready. */
async function send(...messages: readonly Buffer[]): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port: relay.port });
  socket.write(packet(int32(0x30000), 'user\0ana\0database\0app\0', '\0'));
  await once(socket, 'data');
  socket.resume();
  socket.write(Buffer.concat(messages));
  return socket;
}

test('people are asked about a command behind rows whose columns were not known', options, async () => {
  const socket = await send(Q('select note from people'), Q('delete from people'));
  const gate = relay.gates.at(-1)!;
  await eventually('people are asked', () => gate.held.at(-1)?.text === 'delete from people');
  gate.decide({ kind: 'allow' });
  await eventually('it is answered', () => gate.commands.at(-1)?.outcomes.length === 1);
  assert.deepEqual(gate.summary(), [
    'select note from people → succeeded SELECT 1 1 null',
    'delete from people → succeeded DELETE 1 0 null',
  ]);
  socket.destroy();
});
