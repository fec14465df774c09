/**
 * `/healthz`, `/readyz` and `/metrics`, for orchestrators and Prometheus. None needs a sign-in: the first two say only
 * whether, and which named part is not ready; the metrics answer to configured addresses alone.
 */
import { BlockList, isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { RelayMetrics } from './metrics.ts';

/** A part that must work before sessions can be opened. */
export type ReadinessCheck = () => boolean | Promise<boolean>;

export interface HealthOptions {
  /** By name (`log`, `state`, `admission`); a check that throws or takes longer than `timeoutMs` is not ready. */
  readonly checks: Readonly<Record<string, ReadinessCheck>>;
  readonly metrics: RelayMetrics;
  /** Addresses and networks that may read `/metrics`. */
  readonly metricsAllow: readonly string[];
  /** Default 2000. */
  readonly timeoutMs?: number;
}

/** Adds the three routes. */
export function healthRoutes(server: FastifyInstance, options: HealthOptions): void {
  const mayScrape = addressMatcher(options.metricsAllow);
  server.get('/healthz', (_, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }));
  server.get('/readyz', async (_, reply) => {
    const failed = await failedChecks(options.checks, options.timeoutMs ?? 2000);
    return reply
      .header('cache-control', 'no-store')
      .status(failed.length === 0 ? 200 : 503)
      .send({ status: failed.length === 0 ? 'ready' : 'not-ready', failed });
  });
  server.get('/metrics', async (request, reply) => {
    if (!mayScrape(request.ip)) return reply.callNotFound();
    const { registry } = options.metrics;
    return reply.type(registry.contentType).send(await registry.metrics());
  });
}

async function failedChecks(
  checks: Readonly<Record<string, ReadinessCheck>>,
  timeoutMs: number,
): Promise<string[]> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => ((await passes(check, timeoutMs)) ? null : name)),
  );
  return results.filter((name) => name !== null);
}

async function passes(check: ReadinessCheck, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([(async () => check())(), late.promise]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Does an address belong to one of these addresses and networks? IPv4 in IPv6 form counts as IPv4. */
export function addressMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
    const family = isIP(plain);
    return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  };
}
