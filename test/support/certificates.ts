/**
 * A certificate authority of the tests' own, made with the machine's openssl: certificates that a foreign program
 * wrote. Keys are P-256, files PEM; everything lies in the caller's directory.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Authority {
  readonly caFile: string;
  /** `names`: DNS names and IP addresses of the certificate's SAN; `commonName` names a client. */
  issue(commonName: string, names?: readonly string[]): Promise<Certificate>;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export async function makeAuthority(directory: string): Promise<Authority> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const caFile = path.join(directory, 'ca.pem');
  const caKey = path.join(directory, 'ca.key');
  const subject = ['-subj', '/CN=Test CA', '-days', '30'];
  await run('openssl', ['req', '-x509', ...newKey, ...subject, '-keyout', caKey, '-out', caFile]);
  return {
    caFile,
    async issue(commonName, names = []) {
      const base = path.join(directory, commonName.replaceAll(/[^a-z0-9_-]/gi, '_'));
      const [certFile, keyFile, request, extensions] = ['.pem', '.key', '.csr', '.ext'].map(
        (end) => base + end,
      );
      const san = names.map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`));
      const lines = ['basicConstraints=CA:FALSE', ...(san.length ? [`subjectAltName=${san.join(',')}`] : [])];
      writeFileSync(extensions!, lines.join('\n'));
      const subject = ['-subj', `/CN=${commonName}`];
      await run('openssl', ['req', ...newKey, ...subject, '-keyout', keyFile!, '-out', request!]);
      const signer = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-days', '30'];
      await run('openssl', [
        'x509',
        '-req',
        '-in',
        request!,
        ...signer,
        '-extfile',
        extensions!,
        '-out',
        certFile!,
      ]);
      return { certFile: certFile!, keyFile: keyFile! };
    },
  };
}
