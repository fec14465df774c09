/** A million rows with values in columns of every type, on every path: none arrives, and memory stays where it was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClassifier } from '../../src/protocols/postgres/sql/classifier.ts';
import { listenRelay, targetOptions } from '../protocols/postgres/support.ts';
import { maskingOf } from '../protocols/postgres/masking/support.ts';
import { passwordOf, postgresMissing, startPostgres } from '../support/postgres.ts';
import { paths, psql, schema } from './masking.ts';

const rows = 1_000_000;
const long = ['select', 'a cursor', 'copy text', 'copy binary'];
/** Their one value would be over what PostgreSQL can make. */
const short = ['json_agg of values', 'row_to_json without the column of the rule', 'prepared'];

test(`${rows} rows on every path`, { skip: postgresMissing }, async () => {
  const server = await startPostgres({});
  const classifier = await openClassifier();
  const relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    masking: maskingOf({ columns: ['public.people.note'] }, { detect: ['email', 'card', 'us-ssn'] }),
    classify: (text) => classifier.classify(text),
    keep: false,
  });
  try {
    await server.sql(schema(rows));
    for (const name of [...long, ...short]) {
      const script = short.includes(name) ? paths[name]!.replaceAll('from people', 'from (select * from people limit 100000) people') : paths[name]!; // prettier-ignore
      const taken = await psql(server, relay.port, script, { discard: true });
      assert.equal(taken.leak, null, name);
      assert.equal(taken.stderr, '', name);
      assert.ok(taken.bytes > 1e6, name);
      const memory = process.memoryUsage.rss();
      assert.ok(memory < 500e6, `${name}: ${Math.round(memory / 1e6)} MB`);
    }
  } finally {
    await relay.stop();
    await server.stop();
  }
});
