/**
 * A real LemonLDAP::NG (Debian's) as OpenID or SAML provider on a port of its own: its portal under plackup, everything that it
 * writes in a directory of the test. People are those of its demonstration module: `dwho` with the password `dwho`.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Running } from '../../src/cli/demo/hoop.ts';
import { eventually } from './eventually.ts';
import { findProgram } from './programs.ts';

const share = '/usr/share/lemonldap-ng/portal';

export interface LemonldapClient {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
}

/** What it is to those who send people there. */
export interface LemonldapRole {
  /** Answers when it can be used. */
  readonly ready: string;
  /** Of its configuration, beside what every portal has. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** @param portal `http://127.0.0.1:PORT`, of a free port */
export async function startLemonldap(
  directory: string,
  portal: string,
  role: LemonldapRole,
): Promise<Running> {
  for (const name of ['conf', 'cache', 'sessions/lock', 'persistent/lock'])
    mkdirSync(path.join(directory, name), { recursive: true });
  const cache = `'cache_root' => '${directory}/cache', 'cache_depth' => 3, 'directory_umask' => '007'`;
  writeFileSync(
    path.join(directory, 'lemonldap-ng.ini'),
    `[all]
logLevel = warn
[configuration]
type = File
dirName = ${directory}/conf
localStorage = Cache::FileCache
localStorageOptions = { 'namespace' => 'conf', 'default_expires_in' => 600, ${cache} }
[portal]
staticPrefix = /static
templateDir = ${share}/templates
languages = en
`,
  );
  const settings = { ...portalSettings(directory, portal), ...role.settings };
  writeFileSync(path.join(directory, 'conf', 'lmConf-1.json'), JSON.stringify(settings));
  const listen = ['-s', 'HTTP::Server::PSGI', '--host', '127.0.0.1', '--port', new URL(portal).port];
  const server = new Running(findProgram('plackup')!, [...listen, `${share}/htdocs/index.psgi`], {
    PATH: '/usr/bin:/bin',
    LLNG_DEFAULTCONFFILE: path.join(directory, 'lemonldap-ng.ini'),
  });
  await eventually('LemonLDAP::NG answers', () =>
    fetch(`${portal}${role.ready}`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return server;
}

function portalSettings(directory: string, portal: string) {
  const files = (name: string) => ({
    Directory: path.join(directory, name),
    LockDirectory: path.join(directory, name, 'lock'),
  });
  return {
    cfgNum: 1,
    cfgAuthor: 'test',
    cfgDate: 1,
    portal: `${portal}/`,
    domain: '127.0.0.1',
    securedCookie: 0,
    key: 'a key of the test',
    authentication: 'Demo',
    userDB: 'Same',
    passwordDB: 'Null',
    registerDB: 'Null',
    demoExportedVars: { uid: 'uid', mail: 'mail', cn: 'cn' },
    whatToTrace: 'uid',
    groups: { timelords: "$uid eq 'dwho'", staff: '1' },
    globalStorage: 'Apache::Session::File',
    globalStorageOptions: files('sessions'),
    persistentStorage: 'Apache::Session::File',
    persistentStorageOptions: files('persistent'),
    localSessionStorage: 'Cache::FileCache',
    localSessionStorageOptions: {
      namespace: 'sessions',
      default_expires_in: 600,
      directory_umask: '007',
      cache_root: path.join(directory, 'cache'),
      cache_depth: 3,
    },
    locationRules: { '127.0.0.1': { default: 'accept' } },
  };
}

const option = (name: string): string => `oidcRPMetaDataOptions${name}`;

export function openIdProvider(
  issuer: string,
  { clientId, clientSecret, redirectUri }: LemonldapClient,
): LemonldapRole {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const settings = {
    issuerDBOpenIDConnectActivation: 1,
    oidcServiceMetaDataIssuer: issuer,
    oidcServicePrivateKeySig: privateKey,
    oidcServicePublicKeySig: publicKey,
    oidcServiceKeyIdSig: 'test',
    oidcServiceAllowAuthorizationCodeFlow: 1,
    oidcRPMetaDataOptions: {
      hoop: {
        [option('ClientID')]: clientId,
        [option('ClientSecret')]: clientSecret,
        [option('RedirectUris')]: redirectUri,
        [option('IDTokenSignAlg')]: 'RS256',
        [option('IDTokenForceClaims')]: 1,
        [option('RefreshToken')]: 1,
        [option('BypassConsent')]: 1,
        [option('RequirePKCE')]: 1,
        [option('UserIDAttr')]: 'uid',
      },
    },
    oidcRPMetaDataExportedVars: { hoop: { email: 'mail', groups: 'groups;string;always' } },
    oidcRPMetaDataOptionsExtraClaims: { hoop: { groups: 'groups' } },
  };
  return { ready: '/.well-known/openid-configuration', settings };
}

/** PEM texts. */
export interface SamlKey {
  readonly privateKey: string;
  /** A certificate: with a public key alone its metadata names none, and nobody reads who signs. */
  readonly certificate: string;
}

export interface SamlRelyingParty {
  readonly metadata: string;
  /** `samlSPMetaDataOptions` without that prefix, over those of a relay. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** @param parties by the name that the operator gives each */
export function samlProvider(
  { privateKey, certificate }: SamlKey,
  parties: Readonly<Record<string, SamlRelyingParty>>,
): LemonldapRole {
  const each = (settingsOf: (party: SamlRelyingParty) => Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(parties).map(([name, party]) => [name, settingsOf(party)]));
  const settings = {
    issuerDBSAMLActivation: 1,
    // A sign-in of this second is fresh; any other is asked for anew.
    portalForceAuthnInterval: 0,
    samlServicePrivateKeySig: privateKey,
    samlServicePublicKeySig: certificate,
    samlServiceSignatureMethod: 'RSA_SHA256',
    samlSPMetaDataXML: each(({ metadata }) => ({ samlSPMetaDataXML: metadata })),
    samlSPMetaDataOptions: each(({ options }) =>
      Object.fromEntries(
        Object.entries({ ...relayOptions, ...options }).map(([name, value]) => [
          `samlSPMetaDataOptions${name}`,
          value,
        ]),
      ),
    ),
    // The key is the portal's name of it; `mandatory;name;format;friendly name`.
    samlSPMetaDataExportedAttributes: each(() => ({ mail: '1;mail', groups: '0;groups' })),
  };
  return { ready: '/saml/metadata', settings };
}

const relayOptions = {
  NameIDFormat: 'persistent',
  CheckSSOMessageSignature: 1,
  SignSSOMessage: -1,
  EncryptionMode: 'none',
  NotOnOrAfterTimeout: 72_000,
  SessionNotOnOrAfterTimeout: 72_000,
  ForceUTF8: 1,
};
