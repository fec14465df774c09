/**
 * `npm run bench [-- --quick] [-- --only WORD]`: the whole path (agent, TLS, relay with policy and recording) against
 * a direct connection and two pairs of TLS proxies, in one run, alternating, medians. Only ratios carry over from one
 * machine to another. Ends by verifying the evidence of its own run: speed by recording less does not count.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { makeAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { passwordOf, startPostgres, type PostgresServer } from '../support/postgres.ts';
import { startStage, type Stage } from '../support/relay.ts';
import { missing } from '../support/programs.ts';
import { judge, type Figures } from './floors.ts';
import { direct, haproxyPair, hoopPath, stunnelPair, type Material, type Path } from './paths.ts';
import { scenarios, type Load, type Scenario } from './scenarios.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Scenarios whose name contains it. */
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
const chosen = scenarios.filter(({ name }) => name.includes(options.only));

async function fill(server: PostgresServer, rows: number): Promise<void> {
  await server.sql(`CREATE ROLE bench LOGIN; GRANT bench TO app; GRANT pg_read_all_data TO app;
    GRANT ALL ON SCHEMA public TO bench`);
  await server.sql(`CREATE TABLE bulk AS SELECT id, 'customer number ' || id AS name,
    repeat('some ordinary words of a note ', 6) AS note, id * 1.25 AS amount,
    timestamp '2026-01-01' + id * interval '1 second' AS created FROM generate_series(1, ${rows}) AS id`);
  await server.sql('GRANT ALL ON bulk TO bench; VACUUM ANALYZE bulk');
  await fillPeople(server, load.people);
  const pgbench = path.join(server.binDir, 'pgbench');
  execFileSync(pgbench, ['-i', '-q', '-s', '10'], { env: server.env('postgres'), stdio: 'ignore' });
  await server.sql('GRANT ALL ON ALL TABLES IN SCHEMA public TO app, bench');
}

/** About 220 bytes a row; every card number has its check digit. */
async function fillPeople(server: PostgresServer, rows: number): Promise<void> {
  await server.sql(`CREATE FUNCTION card(digits text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT digits || (10 - sum(CASE WHEN i % 2 = 1 THEN d * 2 / 10 + d * 2 % 10 ELSE d END) % 10) % 10
    FROM generate_series(1, 15) AS i, LATERAL (SELECT substr(digits, i, 1)::int AS d) AS one $$`);
  await server.sql(`CREATE TABLE people AS SELECT id, 'customer number ' || id AS name,
    'user' || id || '@example.com' AS email, card('4' || lpad((id * 7919::bigint)::text, 14, '0')) AS card,
    to_char(100 + id % 500, 'FM000') || '-' || to_char(10 + id % 89, 'FM00') || '-' || to_char(1000 + id % 8999, 'FM0000') AS ssn,
    repeat('some ordinary words of a note ', 3) AS note,
    timestamp '2026-01-01' + id * interval '1 second' AS created FROM generate_series(1, ${rows}) AS id`);
  await server.sql('GRANT ALL ON people TO bench, app; VACUUM ANALYZE people');
}

/** E-mail addresses, card and social security numbers are masked, and their originals sealed. */
async function maskingConfig() {
  const recipient = await identityToRecipient(await generateIdentity());
  return {
    evidence: { seal: { recipients: [recipient] } },
    masking: { rules: [{ name: 'personal', detect: ['email', 'card', 'us-ssn'] }] },
  };
}

/** Speed by masking less does not count either. */
function assertMasks({ port }: Path): void {
  const psql = path.join(server.binDir, 'psql');
  const sql = 'SELECT email, card, ssn FROM people WHERE id % 1000 = 0';
  const args = ['-h', '127.0.0.1', '-p', String(port), '-U', load.user, '-d', load.database, '-Atc', sql];
  const rows = execFileSync(psql, args, { encoding: 'utf8' }).trim().split('\n');
  for (const row of rows) if (!/^[*|]+$/.test(row)) throw new Error(`not masked: ${row}`);
}

const samples = new Map<string, number[]>();
const key = (scenario: string, way: string) => `${scenario}\n${way}`;
const median: Figures = (scenario, way) => {
  const values = samples.get(key(scenario, way))?.toSorted((a, b) => a - b);
  return values?.[Math.floor(values.length / 2)];
};

/** Memory and CPU are of what stands in between; waiting for the disk is measured under the load it matters for. */
const applies = (scenario: Scenario, way: Path): boolean => {
  if (scenario.ways !== undefined) return scenario.ways.includes(way.name);
  if (way.name === 'direct') return scenario.against !== null;
  if (way.name === 'hoop (disk)') return scenario.name === '-S prepared, 16 clients';
  return way.name !== 'hoop (masking)';
};

/** What is measured is a relay in service, not one that has just started: its code is compiled while it runs. */
async function warmUp(ways: readonly Path[], load: Load): Promise<void> {
  const served = chosen.filter(({ unit }) => unit === 'tps');
  for (const scenario of served)
    for (const way of ways) if (applies(scenario, way)) await scenario.measure(way, load);
}

async function measure(ways: readonly Path[], load: Load): Promise<void> {
  console.error('warming up');
  await warmUp(ways, load);
  for (let round = 1; round <= rounds; round++)
    for (const scenario of chosen) {
      if (scenario.once && round > 1) continue;
      for (const way of ways) {
        if (!applies(scenario, way)) continue;
        const value = await scenario.measure(way, load);
        samples.set(key(scenario.name, way.name), [
          ...(samples.get(key(scenario.name, way.name)) ?? []),
          value,
        ]);
      }
      console.error(`round ${round} of ${rounds}: ${scenario.name}`);
    }
}

function printTable(ways: readonly Path[]): void {
  const width = 18;
  console.log(`${''.padEnd(46)}${ways.map(({ name }) => name.padStart(width)).join('')}`);
  for (const { name, unit, against } of chosen) {
    const cells = ways.map((way) => {
      const value = median(name, way.name);
      if (value === undefined) return '-'.padStart(width);
      const digits = value >= 100 ? 0 : 1;
      const base = against === null ? undefined : median(name, against);
      const relative = base === undefined ? '' : ` (${(value / base).toFixed(2)})`;
      return `${value.toFixed(digits)}${relative}`.padStart(width);
    });
    console.log(`${`${name}, ${unit}`.padEnd(46)}${cells.join('')}`);
  }
}

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-bench-'));
const load = {
  user: 'bench',
  withPassword: { user: 'app', password: passwordOf('app') },
  database: 'app',
  seconds: options.quick ? 2 : 4,
  bulkRows: options.quick ? 400_000 : 2_000_000,
  people: options.quick ? 400_000 : 1_000_000,
  idleConnections: 500,
};
const ways: Path[] = [];
const stages: Stage[] = [];
const server = await startPostgres({
  settings: { max_connections: '1000', shared_buffers: '512MB' },
  hba: ['host all bench 127.0.0.1/32 trust'],
});
try {
  await fill(server, load.bulkRows);
  const authority = await makeAuthority(path.join(directory, 'tls'));
  const certificate = await authority.issue('localhost', ['localhost', '127.0.0.1']);
  const material: Material = { directory, serverPort: server.port, caFile: authority.caFile, ...certificate };
  ways.push(direct(server.port));
  for (const [name, make] of [
    ['stunnel', stunnelPair],
    ['haproxy', haproxyPair],
  ] as const) {
    const reason = missing(name);
    if (reason === false) ways.push(await make(material));
    else console.error(`not compared: ${reason}`);
  }
  stages.push(await startStage({ server, tls: true }));
  ways.push(await hoopPath('hoop', stages[0]!));
  stages.push(await startStage({ server, tls: true, config: { evidence: { durability: 'disk' } } }));
  ways.push(await hoopPath('hoop (disk)', stages[1]!));
  stages.push(await startStage({ server, tls: true, config: await maskingConfig() }));
  ways.push(await hoopPath('hoop (masking)', stages[2]!));
  assertMasks(ways.at(-1)!);
  await measure(ways, { ...load, binDir: server.binDir });
  printTable(ways);
  const { lines } = judge(median);
  console.log(`\n${lines.join('\n')}`);
  for (const way of ways) await way.stop();
  for (const stage of stages) {
    // Sessions end at the relay a moment after their agents.
    const { code, stdout, stderr } = await eventually('every session is closed in the record', async () => {
      const result = await stage.verify();
      return !result.stdout.includes('session-unfinished') && result;
    });
    console.log(`\nevidence of this run: ${stdout.trim()}${stderr}`);
    if (code !== 0) process.exitCode = 1;
  }
} finally {
  for (const way of ways) await way.stop();
  for (const stage of stages) await stage.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}
