/**
 * A foreign SAML identity provider: Debian's SimpleSAMLphp under PHP's own web server, with its example people, everything it
 * writes in a directory of the test's own. Ana is in engineering; Bo is in no group.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { eventually } from './eventually.ts';
import { findProgram } from './programs.ts';

const run = promisify(execFile);

/** How long the provider says that a sign-in there is good (SessionNotOnOrAfter). */
export const sessionSeconds = 600;

export interface SimpleSamlPhp {
  readonly entityId: string;
  readonly metadataUrl: string;
  /** Tells it of the relay, as `hoop relay saml-metadata --json` describes it. `more`: PHP, further entries of its array. */
  trust(
    relay: { readonly entityId: string; readonly acsUrl: string; readonly metadata: string },
    more?: string,
  ): void;
  /** Makes another key, and tells both in the metadata. */
  rollOver(): Promise<void>;
  stop(): Promise<void>;
}

export const people = {
  ana: { name: 'ana', password: 'ana-at-simplesamlphp' },
  bo: { name: 'bo', password: 'bo-at-simplesamlphp' },
};

export async function startSimpleSamlPhp(directory: string): Promise<SimpleSamlPhp> {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}/`;
  for (const name of ['config', 'metadata', 'cert', 'log', 'data', 'tmp', 'sessions'])
    mkdirSync(path.join(directory, name), { recursive: true, mode: 0o700 });
  writeFileSync(path.join(directory, 'config', 'config.php'), configOf(directory, base));
  writeFileSync(path.join(directory, 'config', 'authsources.php'), sources);
  const entityId = `${base}saml2/idp/metadata.php`;
  let keys: string[] = [];
  const rollOver = async (): Promise<void> => {
    const name = `idp${keys.length}`;
    const file = (end: string) => path.join(directory, 'cert', `${name}.${end}`);
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=idp.test'];
    await run('openssl', [...request, '-keyout', file('pem'), '-out', file('crt')]);
    // Its own words for two keys: the present one is `new_` while both are told.
    const before = keys.at(-1);
    writeFileSync(path.join(directory, 'metadata', 'saml20-idp-hosted.php'), hosted(name, before ?? null));
    keys = [...keys, name];
  };
  await rollOver();
  const child = spawn(
    findProgram('php')!,
    [
      '-S',
      `127.0.0.1:${port}`,
      '-t',
      '/usr/share/simplesamlphp/www',
      '-d',
      'opcache.revalidate_freq=0',
      '-d',
      `session.save_path=${path.join(directory, 'sessions')}`,
    ],
    {
      stdio: 'ignore',
      env: {
        PATH: process.env['PATH'],
        SIMPLESAMLPHP_CONFIG_DIR: path.join(directory, 'config'),
      },
    },
  );
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  await eventually('SimpleSAMLphp answers', () =>
    fetch(entityId).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    entityId,
    metadataUrl: entityId,
    rollOver,
    trust: ({ entityId: relay, acsUrl, metadata }, more = '') => {
      const certificate = /X509Certificate>([^<]+)</.exec(metadata)?.[1];
      writeFileSync(
        path.join(directory, 'metadata', 'saml20-sp-remote.php'),
        `<?php $metadata['${relay}'] = ['AssertionConsumerService' => '${acsUrl}', 'certData' => '${certificate}', ${more}];`,
      );
    },
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

const configOf = (directory: string, base: string): string => `<?php
$config = [
  'baseurlpath' => '${base}',
  'certdir' => '${directory}/cert/',
  'loggingdir' => '${directory}/log/',
  'datadir' => '${directory}/data/',
  'tempdir' => '${directory}/tmp/',
  'metadatadir' => '${directory}/metadata/',
  'secretsalt' => 'of-this-test-alone',
  'auth.adminpassword' => 'of-this-test-alone',
  'technicalcontact_email' => 'nobody@example.com',
  'timezone' => 'UTC',
  'logging.handler' => 'file',
  'logging.level' => SimpleSAML\\Logger::INFO,
  'enable.saml20-idp' => true,
  'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
  'session.duration' => ${sessionSeconds},
  'session.cookie.secure' => false,
  'session.cookie.samesite' => 'Lax',
  'session.phpsession.httponly' => true,
  'store.type' => 'phpsession',
  'metadata.sources' => [['type' => 'flatfile']],
];
`;

const sources = `<?php
$config = [
  'people' => [
    'exampleauth:UserPass',
    '${people.ana.name}:${people.ana.password}' => ['uid' => ['ana-7'], 'mail' => ['ana@example.com'], 'groups' => ['engineering', 'dba']],
    '${people.bo.name}:${people.bo.password}' => ['uid' => ['bo-9'], 'mail' => ['bo@example.com']],
  ],
];
`;

const hosted = (key: string, before: string | null): string => `<?php
$metadata['__DYNAMIC:1__'] = [
  'host' => '__DEFAULT__',
  ${
    before === null
      ? `'privatekey' => '${key}.pem', 'certificate' => '${key}.crt',`
      : `'new_privatekey' => '${key}.pem', 'new_certificate' => '${key}.crt', 'privatekey' => '${before}.pem', 'certificate' => '${before}.crt',`
  }
  'auth' => 'people',
  'userid.attribute' => 'uid',
  'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  'redirect.sign' => true,
  'redirect.validate' => true,
  'validate.authnrequest' => true,
];
`;
