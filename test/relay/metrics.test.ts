import { test } from 'node:test';
import assert from 'node:assert/strict';
import Fastify from 'fastify';
import { RelayMetrics } from '../../src/relay/metrics.ts';
import { addressMatcher, healthRoutes } from '../../src/relay/health.ts';
import type { ReadinessCheck } from '../../src/relay/health.ts';

async function samples(metrics: RelayMetrics): Promise<Map<string, number>> {
  const text = await metrics.registry.metrics();
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(hoop_\S+(?:\{[^}]*\})?) (\S+)$/.exec(line);
    if (match !== null) found.set(match[1]!, Number(match[2]));
  }
  return found;
}

test('what happened is counted, and what the data path tallied shows at the scrape', async () => {
  const metrics = new RelayMetrics('1.2.3');
  metrics.sessionOpened('db-prod');
  metrics.sessionEnded('killed');
  metrics.failed('recording-failed');
  metrics.denied('connect');
  metrics.requestAnswered({ method: 'GET', route: '/v1/sessions/:id', status: 404 }, 0.003);
  metrics.logAppended(0.004);
  metrics.tally.commands.succeeded += 3;
  metrics.tally.bytesToClient += 1000;
  let live = 2;
  metrics.observe({
    liveSessions: () => live,
    liveConnections: () => 7,
    sealerBacklogBytes: () => 11,
    room: () => ({ availableBytes: 17, reserveBytes: 19, level: 'critical' }),
    breakGlassOpen: () => true,
    logEntries: () => 13,
    logFailing: () => true,
    checkpointLagSeconds: () => 7.5,
    witnesses: () => [{ name: 'w1', size: 9, lagSeconds: 2, failures: 3 }],
    archive: () => ({ kind: 's3', lag: 4, failures: 2, lost: 0, bytes: 1024 }),
    streams: () => [{ name: 'siem', lag: 7, failures: 2, delivered: 11 }],
    witnessedEntries: () => 9,
  });
  const first = await samples(metrics);
  const expected: Record<string, number> = {
    'hoop_build_info{version="1.2.3"}': 1,
    'hoop_sessions_opened_total{target="db-prod"}': 1,
    'hoop_sessions_ended_total{reason="killed"}': 1,
    'hoop_errors_total{code="recording-failed"}': 1,
    'hoop_denied_total{action="connect"}': 1,
    'hoop_http_requests_total{method="GET",route="/v1/sessions/:id",status="404"}': 1,
    'hoop_http_request_seconds_bucket{le="0.01",route="/v1/sessions/:id"}': 1,
    hoop_log_append_seconds_count: 1,
    'hoop_commands_total{outcome="succeeded"}': 3,
    'hoop_commands_total{outcome="failed"}': 0,
    'hoop_bytes_total{direction="target-to-client"}': 1000,
    hoop_sessions_live: 2,
    hoop_connections_live: 7,
    hoop_sealer_backlog_bytes: 11,
    hoop_evidence_available_bytes: 17,
    hoop_evidence_reserve_bytes: 19,
    hoop_evidence_space_level: 2,
    hoop_break_glass_open: 1,
    hoop_log_entries: 13,
    hoop_log_failing: 1,
    hoop_log_checkpoint_lag_seconds: 7.5,
    hoop_log_witnessed_entries: 9,
    'hoop_witness_size{witness="w1"}': 9,
    'hoop_witness_lag_seconds{witness="w1"}': 2,
    'hoop_witness_failures_total{witness="w1"}': 3,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(first.get(name), value, name);
  live = 0;
  metrics.tally.commands.succeeded += 1;
  const second = await samples(metrics);
  assert.equal(second.get('hoop_sessions_live'), 0);
  assert.equal(second.get('hoop_commands_total{outcome="succeeded"}'), 4, 'a sum is set, not added up');
  metrics.registry.clear();
});

test('two relays in one process count apart', async () => {
  const [one, two] = [new RelayMetrics('1'), new RelayMetrics('2')];
  one.sessionOpened('a');
  assert.equal((await samples(two)).get('hoop_sessions_opened_total{target="a"}'), undefined);
  for (const metrics of [one, two]) metrics.registry.clear();
});

async function get(url: string, checks: Record<string, ReadinessCheck>, remoteAddress = '127.0.0.1') {
  const server = Fastify();
  const metrics = new RelayMetrics('1');
  healthRoutes(server, { checks, metrics, metricsAllow: ['127.0.0.0/8'], timeoutMs: 50 });
  const answer = await server.inject({ url, remoteAddress });
  await server.close();
  metrics.registry.clear();
  return { status: answer.statusCode, body: answer.body };
}

const late = () => new Promise<boolean>(() => undefined);
const broken = () => Promise.reject(new Error('x'));
const thrown = (): boolean => {
  throw new Error('x');
};

test('ready only when every check passes in time; healthy as long as the process answers', async () => {
  assert.deepEqual(await get('/readyz', { log: () => true, state: async () => true }), {
    status: 200,
    body: '{"status":"ready","failed":[]}',
  });
  assert.deepEqual(await get('/readyz', { log: () => true, state: () => false, late, broken, thrown }), {
    status: 503,
    body: '{"status":"not-ready","failed":["state","late","broken","thrown"]}',
  });
  assert.deepEqual(await get('/healthz', { log: () => false }), { status: 200, body: '{"status":"ok"}' });
});

test('metrics answer to the configured addresses; to others there is nothing', async () => {
  const seen = await get('/metrics', {});
  assert.equal(seen.status, 200);
  assert.match(seen.body, /^hoop_build_info\{version="1"\} 1$/m);
  const other = await get('/metrics', {}, '192.0.2.1');
  assert.equal(other.status, 404);
  assert.doesNotMatch(other.body, /hoop_build_info/);
});

test('addresses and networks', () => {
  const matches = addressMatcher(['10.0.0.0/8', '::1', 'fd00::/8', '192.0.2.7']);
  for (const address of ['10.255.0.1', '::ffff:10.0.0.1', '::1', 'fd12::1', '192.0.2.7'])
    assert.equal(matches(address), true, address);
  for (const address of ['11.0.0.1', '::2', 'fe80::1', '192.0.2.8', '', 'x', '10.0.0.1.evil'])
    assert.equal(matches(address), false, address);
  assert.equal(addressMatcher([])('127.0.0.1'), false);
});
