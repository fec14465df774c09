/** Rules of `relay.yaml` that join several keys: above all, what never travels in plain text. */
import { archiveProblems } from './archive.ts';
import { streamProblems } from './streams.ts';
import { logProblems } from './log-schema.ts';
import { isLoopback } from './loopback.ts';
import { machineProblems } from './machine-rules.ts';
import { maskingProblems } from './masking.ts';
import type { RelayFile } from './schema.ts';
import { SecretReference } from './secret.ts';
import { targetProblems } from './target-rules.ts';
import { upstreamProblems } from './upstream.ts';

/** A broken rule, at the value (or the nearest parent) that `path` names. */
export interface RuleProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** All broken rules of a file that has the right shape. */
export function ruleProblems(file: RelayFile): RuleProblem[] {
  return [
    ...listenProblems(file),
    ...publicUrlProblems(file),
    ...logProblems(file.log),
    ...archiveProblems(file.evidence.archive),
    ...streamProblems(file.evidence.streams),
    ...stateProblems(file),
    ...identityProblems(file),
    ...machineProblems(file),
    ...sessionProblems(file),
    ...maskingProblems(file),
    ...sealProblems(file),
    ...spaceProblems(file),
    ...file.reviews.webhooks.flatMap((webhook, at) =>
      [...webhookProblems(webhook)].map(({ path, message }) => ({
        path: ['reviews', 'webhooks', `${at}`, ...path],
        message,
      })),
    ),
    ...Object.entries(file.targets).flatMap(([name, target]) =>
      [...targetProblems(target)].map(({ path, message }) => ({ path: ['targets', name, ...path], message })),
    ),
  ];
}

function* listenProblems({ listen, tls, behindProxy }: RelayFile): Generator<RuleProblem> {
  if (!isLoopback(listen.host) && tls === undefined && behindProxy === undefined)
    yield {
      path: ['listen', 'host'],
      message:
        'plain HTTP is served on loopback addresses only: set tls, or behindProxy when a proxy does TLS',
    };
}

function* publicUrlProblems({ listen, tls, behindProxy, publicUrl }: RelayFile): Generator<RuleProblem> {
  const path = ['publicUrl'];
  if (publicUrl === undefined) {
    if (!isLoopback(listen.host) || behindProxy !== undefined)
      yield {
        path,
        message: 'missing: expected the URL that clients use, when it is not this machine alone',
      };
    return;
  }
  const { protocol, hostname, pathname } = new URL(publicUrl);
  if (pathname !== '/') yield { path, message: 'expected a URL without a path' };
  if (protocol === 'http:' && !isLoopback(hostname))
    yield { path, message: 'expected https: http is for loopback only' };
  else if (protocol === 'http:' && tls !== undefined)
    yield { path, message: 'expected https, because tls is set' };
  else if (protocol === 'https:' && tls === undefined && behindProxy === undefined)
    yield { path, message: 'https needs tls, or behindProxy when a proxy does TLS' };
}

function* spaceProblems({ evidence: { space } }: RelayFile): Generator<RuleProblem> {
  const { warn, critical } = space;
  const above =
    'percent' in warn
      ? 'percent' in critical && critical.percent > warn.percent
      : 'bytes' in critical && critical.bytes > warn.bytes;
  if (above)
    yield { path: ['evidence', 'space', 'critical'], message: 'expected no more than evidence.space.warn' };
}

function* sealProblems({ evidence: { seal }, masking }: RelayFile): Generator<RuleProblem> {
  const { recipients, discardOriginals } = seal;
  if (recipients.length > 0 && discardOriginals === true)
    yield {
      path: ['evidence', 'seal', 'discardOriginals'],
      message: 'expected recipients or this, not both',
    };
  if (recipients.length === 0 && discardOriginals !== true && masking.rules.length > 0)
    yield {
      path: ['masking', 'rules'],
      message:
        'the originals of masked values need somebody to be sealed to: set evidence.seal.recipients (hoop audit keygen makes a key), or evidence.seal.discardOriginals: true',
    };
}

function* stateProblems({ state }: RelayFile): Generator<RuleProblem> {
  if (state.sqlite !== undefined && state.postgres !== undefined)
    yield { path: ['state', 'postgres'], message: 'expected sqlite or postgres, not both' };
  if (state.postgres !== undefined && SecretReference.parse(state.postgres, '/') === null)
    yield {
      path: ['state', 'postgres'],
      message:
        'a connection string holds a password and does not belong in this file: use env:NAME or file:PATH',
    };
}

function* identityProblems({ identity }: RelayFile): Generator<RuleProblem> {
  const { issuer, machines: _, upstream, ...rest } = identity;
  const { clientId, clientSecret, scopes } = rest;
  if (issuer === 'embedded') {
    for (const [key, value] of Object.entries(rest))
      if (value !== undefined)
        yield { path: ['identity', key], message: 'only for an issuer that is not embedded' };
    if (upstream !== undefined)
      for (const { path, message } of upstreamProblems(upstream))
        yield { path: ['identity', 'upstream', ...path], message };
    return;
  }
  if (upstream !== undefined)
    yield {
      path: ['identity', 'upstream'],
      message: 'only for the embedded issuer, which sends people there',
    };
  const { protocol, hostname, pathname } = new URL(issuer);
  if (protocol === 'http:' && !isLoopback(hostname))
    yield { path: ['identity', 'issuer'], message: 'expected https: http is for loopback only' };
  if (/^\/(common|organizations|consumers)\//.test(pathname) && hostname.startsWith('login.microsoftonline.'))
    yield {
      path: ['identity', 'issuer'],
      message:
        'anybody’s tenant would do: expected the id of yours, as in https://login.microsoftonline.com/TENANT-ID/v2.0',
    };
  if (clientId === undefined)
    yield {
      path: ['identity', 'clientId'],
      message: 'missing: expected the client id that the provider gave',
    };
  if (clientSecret !== undefined && SecretReference.parse(clientSecret, '/') === null)
    yield { path: ['identity', 'clientSecret'], message: 'expected env:NAME or file:PATH' };
  if (scopes !== undefined && !scopes.includes('openid'))
    yield { path: ['identity', 'scopes'], message: 'expected openid among the scopes' };
}

function* sessionProblems({ sessions }: RelayFile): Generator<RuleProblem> {
  if (sessions.defaultDuration > sessions.maxDuration)
    yield { path: ['sessions', 'defaultDuration'], message: 'expected at most sessions.maxDuration' };
}

function* webhookProblems({
  url,
  secret,
  format,
}: RelayFile['reviews']['webhooks'][number]): Generator<RuleProblem> {
  if (/^(env|file):/.test(url)) {
    if (SecretReference.parse(url, '/') === null)
      yield { path: ['url'], message: 'expected env:NAME or file:PATH' };
  } else if (!isWebhookUrl(url))
    yield {
      path: ['url'],
      message: 'expected an https URL without user and password (http on loopback), or env:NAME or file:PATH',
    };
  if (secret === undefined && format === 'json')
    yield {
      path: ['secret'],
      message: 'missing: expected env:NAME or file:PATH of what messages are signed with',
    };
  if (secret !== undefined && SecretReference.parse(secret, '/') === null)
    yield { path: ['secret'], message: 'a secret does not belong in this file: use env:NAME or file:PATH' };
}

/** Where messages about reviews may go: https, or this machine. */
export function isWebhookUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}
