/** What clients are told; libpq itself reads the connection strings where psql is installed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { conninfo, environment, url, userName } from '../../src/agent/postgres-client.ts';

const address = { host: '127.0.0.1', port: 15_432, user: 'ana', database: 'app' };
const named = (email: string | null, subject = 's') => userName({ email, subject });

test('the two lines of the banner', () => {
  assert.equal(conninfo(address), 'host=127.0.0.1 port=15432 user=ana dbname=app');
  assert.equal(url(address), 'postgres://ana@127.0.0.1:15432/app');
  assert.equal(conninfo({ ...address, database: null }), 'host=127.0.0.1 port=15432 user=ana');
  assert.equal(url({ ...address, database: null }), 'postgres://ana@127.0.0.1:15432');
});

test('names that need quoting are quoted as libpq and URLs want it', () => {
  const odd = { ...address, database: `it's a \\ db` };
  assert.equal(conninfo(odd), String.raw`host=127.0.0.1 port=15432 user=ana dbname='it\'s a \\ db'`);
  assert.equal(new URL(url(odd)).pathname, "/it's%20a%20%5C%20db");
  assert.equal(decodeURIComponent(new URL(url({ ...address, database: 'a/b?c#d' })).pathname), '/a/b?c#d');
  assert.equal(conninfo({ ...address, database: '' }), `host=127.0.0.1 port=15432 user=ana dbname=''`);
});

test('the user name is a plain one, whatever the identity provider says', () => {
  assert.equal(named('Ana.Maria@example.com'), 'ana.maria');
  assert.equal(named(`x' host=evil @example.com`), 'xhostevil');
  assert.equal(named('"; drop'), 'drop');
  assert.equal(named('@@@'), 'hoop');
  assert.equal(named(null, 'Ünï|42'), 'n42');
  assert.equal(named('a'.repeat(100)).length, 63);
});

test('a client inherits nothing that could lead it elsewhere', () => {
  const base = {
    PATH: '/bin',
    PGHOST: 'db.example.com',
    PGHOSTADDR: '10.0.0.1',
    PGSERVICE: 'prod',
    PGPASSWORD: 'secret',
    PGSSLMODE: 'verify-full',
    PGCHANNELBINDING: 'require',
    PGREQUIREAUTH: 'scram-sha-256',
    PGDATABASE: 'other',
    PGAPPNAME: 'mine',
  };
  assert.deepEqual(environment(base, address), {
    PATH: '/bin',
    PGAPPNAME: 'mine',
    PGHOST: '127.0.0.1',
    PGPORT: '15432',
    PGUSER: 'ana',
    PGDATABASE: 'app',
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
  });
  assert.equal(environment(base, { ...address, database: null }).PGDATABASE, 'other');
});

test('a Unix socket is named as libpq and the drivers expect it', () => {
  const socket = { ...address, host: '/run/user/1000/hoop' };
  assert.equal(conninfo(socket), 'host=/run/user/1000/hoop port=15432 user=ana dbname=app');
  assert.equal(url(socket), 'postgres://ana@/app?host=%2Frun%2Fuser%2F1000%2Fhoop&port=15432');
});
