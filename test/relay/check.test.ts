import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { checkRelay } from '../../src/relay/check.ts';
import type { CheckResult } from '../../src/relay/check.ts';
import { parseConfig } from '../../src/relay/config/config.ts';
import { openKeys } from '../../src/relay/keys.ts';
import { openLogKeys } from '../../src/relay/log-keys.ts';
import { S3Server } from '../support/s3/s3-server.ts';
import { startScriptedUpstream } from './idp/scripted-upstream.ts';
import { makeAuthority } from '../support/certificates.ts';
import type { Authority, Certificate } from '../support/certificates.ts';

const shared = mkdtempSync(path.join(tmpdir(), 'hoop-check-ca-'));
let authority: Authority;
let local: Certificate;
before(async () => {
  authority = await makeAuthority(shared);
  local = await authority.issue('local', ['localhost', '127.0.0.1']);
});
after(() => rmSync(shared, { recursive: true }));

function directoryOf(context: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-check-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function check(directory: string, yaml: string, connect = false): Promise<CheckResult[]> {
  const config = parseConfig(path.join(directory, 'relay.yaml'), `dataDir: data\n${yaml}`);
  return checkRelay(config, { connect });
}

const seen = (results: CheckResult[], subject: string): string =>
  results
    .filter((result) => result.subject === subject)
    .map(({ state, message }) => `${state}: ${message}`)
    .join('; ');

test('webhooks: their URLs and secrets are read, and nothing is sent', async (context) => {
  const directory = directoryOf(context);
  writeFileSync(path.join(directory, 'url'), 'https://hooks.example.com/services/secret-path\n', {
    mode: 0o600,
  });
  writeFileSync(path.join(directory, 'short'), 'short', { mode: 0o600 });
  const results = await check(
    directory,
    `reviews: { webhooks: [
       { url: file:url, format: slack },
       { url: "https://hooks.example.com/", secret: file:short },
       { url: file:missing, format: slack } ] }\n`,
  );
  assert.equal(seen(results, 'webhook 1'), 'ok: hooks.example.com, not signed');
  assert.match(seen(results, 'webhook 2'), /^failed: the secret of a webhook is shorter than 16 bytes/);
  assert.match(seen(results, 'webhook 3'), /^failed: .*missing/);
});

const permit = '@id("all") permit(principal, action in [Action::"connect", Action::"execute"], resource);';

test('a configuration that works: all is well, and nothing was written', async (context) => {
  const directory = directoryOf(context);
  writeFileSync(path.join(directory, 'p.cedar'), permit);
  writeFileSync(path.join(directory, 'password'), 'x', { mode: 0o600 });
  const results = await check(
    directory,
    `policies: [p.cedar]
tls: { certFile: ${local.certFile}, keyFile: ${local.keyFile} }
targets:
  db: { protocol: postgres, host: db.example.com, database: a, user: u, password: file:password, tls: { caFile: ${authority.caFile}, certFile: ${local.certFile}, keyFile: ${local.keyFile} } }`,
  );
  assert.deepEqual(
    results.filter(({ state }) => state !== 'ok'),
    [],
  );
  assert.match(seen(results, 'keys'), /made at the first start.*token\.json.*log\.key/);
  assert.match(seen(results, 'tls'), /certificate for localhost, until \d{4}-/);
  assert.deepEqual(readdirSync(directory).toSorted(), ['p.cedar', 'password']);
});

test('what keeps a relay from starting or working is named', async (context) => {
  const directory = directoryOf(context);
  writeFileSync(path.join(directory, 'p.cedar'), 'permit(principal, acton, resource);');
  writeFileSync(path.join(directory, 'data'), 'a file in the way');
  const exposed = path.join(directory, 'exposed');
  writeFileSync(exposed, 'x');
  chmodSync(exposed, 0o644);
  const other = await authority.issue('other', ['localhost']);
  const results = await check(
    directory,
    `policies: [p.cedar]
state: { postgres: "env:HOOP_TEST_NOT_SET" }
tls: { certFile: ${local.certFile}, keyFile: ${other.keyFile} }
targets:
  a: { protocol: postgres, host: h, database: a, user: u, password: file:exposed, tls: { caFile: missing.pem } }
  b: { protocol: postgres, host: h, database: a, user: u, password: "env:HOOP_TEST_NOT_SET", tls: { certFile: ${local.certFile}, keyFile: ${other.keyFile} } }`,
  );
  const failed = results.filter(({ state }) => state === 'failed');
  assert.deepEqual(
    failed.map(({ subject, code }) => [subject, code]),
    [
      ['policies', 'policy-invalid'],
      ['data directory', 'unexpected'],
      ['evidence directory', 'unexpected'],
      ['state', 'secret-unavailable'],
      ['tls', 'unexpected'],
      ['target a', 'secret-exposed'],
      ['target a (tls)', 'ENOENT'],
      ['target b', 'secret-unavailable'],
      ['target b (tls)', 'unexpected'],
    ],
  );
  assert.match(seen(results, 'policies'), /p\.cedar:1:19/);
});

test('warnings: nobody permitted, a certificate for another host, plain text over the network', async (context) => {
  const directory = directoryOf(context);
  const foreign = await authority.issue('foreign', ['other.example']);
  const results = await check(
    directory,
    `tls: { certFile: ${foreign.certFile}, keyFile: ${foreign.keyFile} }
targets:
  db: { protocol: postgres, host: h, database: a, user: u, password: "env:PATH", tls: { mode: disable, acknowledgePlaintext: true } }`,
  );
  assert.match(seen(results, 'policies'), /^warning: no policy permits anything/);
  assert.match(seen(results, 'tls'), /^warning: the certificate is not for localhost/);
  assert.match(seen(results, 'target db'), /^warning: no TLS/);
  assert.ok(!results.some(({ state }) => state === 'failed'));
});

test('keys that are there are looked at as the start would', async (context) => {
  const directory = directoryOf(context);
  const config = parseConfig(path.join(directory, 'relay.yaml'), 'dataDir: data\n');
  await openKeys(config);
  await openLogKeys(config);
  assert.match(seen(await check(directory, ''), 'keys'), /^ok: present/);
  const file = path.join(directory, 'data/keys/token.json');
  chmodSync(file, 0o604);
  assert.match(seen(await check(directory, ''), 'keys'), /^failed: .*token\.json/);
});

/** Answers SSLRequest with `answer`; on `S` goes on with TLS. */
async function target(context: TestContext, answer: string, certificate: Certificate): Promise<number> {
  const secureContext = tls.createSecureContext({
    cert: readFileSync(certificate.certFile),
    key: readFileSync(certificate.keyFile),
  });
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(answer);
      if (answer === 'S')
        new tls.TLSSocket(socket, { isServer: true, secureContext }).on('error', () => undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return port;
}

async function reach(context: TestContext, port: number, rest: string): Promise<string> {
  const yaml = `targets:\n  db: { protocol: postgres, host: localhost, port: ${port}, database: a, user: u, ${rest} }`;
  return seen(await check(directoryOf(context), yaml, true), 'target db (connect)');
}

test('reaching a target: TLS is verified as a session would', async (context) => {
  const port = await target(context, 'S', local);
  const ca = `caFile: ${authority.caFile}`;
  assert.match(await reach(context, port, `tls: { ${ca} }`), /^ok: reached, TLSv1\.3, certificate verified$/);
  assert.match(await reach(context, port, `tls: { ${ca}, serverName: "127.0.0.1" }`), /^ok/);
  assert.match(
    await reach(context, port, `tls: { ${ca}, serverName: db.example.com }`),
    /^failed: Hostname\/IP/,
  );
  assert.match(
    await reach(context, port, 'tls: { mode: verify-full }'),
    /^failed: .*(self-signed|unable to)/,
  );
  assert.match(await reach(context, port, 'tls: { mode: disable }'), /^ok: reached, without TLS$/);
});

test('a target without TLS, one that smuggles bytes before it, and none at all', async (context) => {
  assert.match(
    await reach(context, await target(context, 'N', local), 'tls: {}'),
    /^failed: reached, but it offers no TLS/,
  );
  assert.match(await reach(context, await target(context, 'SX', local), 'tls: {}'), /^failed: reached, but/);
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  assert.match(await reach(context, port, 'tls: {}'), /^failed: .*ECONNREFUSED/);
});

const upstreamYaml = (issuer: string, more = '') =>
  `identity: { upstream: { kind: oidc, issuer: "${issuer}", clientId: hoop${more} } }\n`;

test('an upstream: its secret is read, its discovery document and keys are looked at', async (context) => {
  const directory = directoryOf(context);
  const upstream = await startScriptedUpstream();
  context.after(() => upstream.close());
  const secret = await check(directory, upstreamYaml(upstream.issuer, ', clientSecret: file:missing'));
  assert.match(seen(secret, 'upstream'), /^failed: .*missing/);
  const good = await check(directory, upstreamYaml(upstream.issuer), true);
  assert.equal(seen(good, 'upstream'), `ok: ${upstream.issuer}, a public client`);
  assert.equal(seen(good, 'upstream (connect)'), 'ok: discovery and keys are there');
  upstream.metadata = { scopes_supported: ['openid'], code_challenge_methods_supported: ['plain'] };
  assert.match(
    seen(await check(directory, upstreamYaml(upstream.issuer), true), 'upstream (connect)'),
    /^warning: .*S256; warning: .*email, offline_access$/,
  );
  upstream.metadata = { issuer: `${upstream.issuer}/` };
  assert.match(
    seen(await check(directory, upstreamYaml(upstream.issuer), true), 'upstream (connect)'),
    /^failed: .*has to be that$/,
  );
  upstream.metadata = { token_endpoint: undefined };
  assert.match(
    seen(await check(directory, upstreamYaml(upstream.issuer), true), 'upstream (connect)'),
    /^failed: .*says no token_endpoint/,
  );
});

test('an archive: what it is made of is there; with --connect it answers, or says why not', async (context) => {
  const directory = directoryOf(context);
  const local = await check(directory, 'evidence: { archive: { directory: archive } }\n', true);
  assert.equal(seen(local, 'archive'), `ok: ${directory}/archive will be made`);
  const keys = { accessKeyId: 'AKID', secretAccessKey: 'planted-4711' };
  await using server = await S3Server.start({ bucket: 'evidence', region: 'eu-1', ...keys });
  const place = (secret: string, more = ''): string =>
    `evidence: { retention: { recordings: 30d }, archive: { s3: { endpoint: "${server.url}", region: eu-1, bucket: evidence, credentials: { accessKeyId: file:id, secretAccessKey: file:${secret} }${more} } } }\n`;
  for (const [name, value] of Object.entries({
    id: keys.accessKeyId,
    secret: keys.secretAccessKey,
    wrong: 'x',
  }))
    writeFileSync(path.join(directory, name), value, { mode: 0o600 });
  const answers = await check(directory, place('secret', ', lock: { mode: compliance, retain: 7d }'), true);
  assert.equal(seen(answers, 'archive'), `ok: ${server.url}, bucket evidence`);
  assert.equal(seen(answers, 'archive (connect)'), 'ok: answers; nothing is there yet');
  assert.match(seen(await check(directory, place('secret')), 'archive'), /^warning: no lock/);
  assert.match(
    seen(await check(directory, place('secret', ', lock: { mode: compliance, retain: 60d }')), 'archive'),
    /^warning: evidence\.retention is shorter than the lock/,
  );
  const refused = await check(directory, place('wrong'), true);
  assert.match(
    seen(refused, 'archive (connect)'),
    /^failed: .*403 SignatureDoesNotMatch \(is the secret key/,
  );
  assert.match(seen(await check(directory, place('nowhere')), 'archive'), /^failed: .*nowhere/);
  assert.doesNotMatch(JSON.stringify([answers, refused]), /planted/);
});
