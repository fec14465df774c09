/** Targets as the relay knows them. */
import type { TargetName } from '../../model/ids.ts';
import type { SecretReference, Setting } from './secret.ts';

export type TargetConfig = PostgresTargetConfig | SshTargetConfig;

interface CommonTarget {
  readonly name: TargetName;
  readonly description: string | null;
  /** Target groups, for policy. */
  readonly groups: readonly string[];
  /** Host name, address, or (PostgreSQL) absolute path of the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

export interface PostgresTargetConfig extends CommonTarget {
  readonly protocol: 'postgres';
  /** Where a client goes that names no database. */
  readonly database: string;
  /** Others that a client may name. */
  readonly databases: readonly string[] | 'any';
  readonly user: Setting;
  /** Null: the target asks for none (client certificate, socket peer). */
  readonly password: SecretReference | null;
  readonly tls: TargetTlsConfig;
}

export type TargetTlsConfig =
  | { readonly mode: 'disable' }
  | {
      readonly mode: 'verify-full';
      /** Null: the system's certificate authorities. */
      readonly caFile: string | null;
      readonly clientCertificate: { readonly certFile: string; readonly keyFile: string } | null;
      /** Name that the certificate must have; null: `host`. */
      readonly serverName: string | null;
    };

/** How the relay signs in at a server, and how it knows it. */
export interface SshAccess {
  readonly host: string;
  readonly port: number;
  readonly privateKey: SecretReference | null;
  /** Of the private key. */
  readonly passphrase: SecretReference | null;
  readonly password: SecretReference | null;
  /** `type base64`, as in known_hosts. Null: those that `hoop relay trust` has kept. */
  readonly hostKeys: readonly string[] | null;
}

export interface SshTargetConfig extends CommonTarget, SshAccess {
  readonly protocol: 'ssh';
  /** Who signs in as whom; the first that fits. */
  readonly logins: readonly SshLogin[];
  /** Servers to go through, in order. */
  readonly jump: readonly (SshAccess & { readonly user: Setting })[];
}

/** Whoever all that is not null fits signs in as `user`. */
export interface SshLogin {
  readonly email: string | null;
  readonly subject: string | null;
  readonly group: string | null;
  readonly user: Setting;
}
