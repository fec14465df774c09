/** How PostgreSQL clients are told where the local port is: libpq's connection string, a URL, its environment. */

/** Where a client connects and as whom. The name decides nothing: the tunnel has proven who it is. */
export interface PostgresAddress {
  /** Address, or directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null: the client must name one. */
  readonly database: string | null;
}

/** A role name that needs no quoting anywhere, from the person's e-mail or subject. */
export function userName(principal: { readonly email: string | null; readonly subject: string }): string {
  const local = (principal.email ?? principal.subject).split('@')[0] ?? '';
  const plain = local.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '');
  return plain === '' ? 'hoop' : plain.slice(0, 63);
}

/** `host=127.0.0.1 port=15432 user=ana dbname=app`, quoted as libpq reads it. */
export function conninfo({ host, port, user, database }: PostgresAddress): string {
  const pairs = [`host=${value(host)}`, `port=${port}`, `user=${value(user)}`];
  if (database !== null) pairs.push(`dbname=${value(database)}`);
  return pairs.join(' ');
}

/** `postgres://ana@127.0.0.1:15432/app`; a socket's directory goes into the query, as libpq and the drivers read it. */
export function url({ host, port, user, database }: PostgresAddress): string {
  const path = database === null ? '' : `/${encodeURIComponent(database)}`;
  if (host.startsWith('/')) {
    const query = `host=${encodeURIComponent(host)}&port=${port}`;
    return `postgres://${encodeURIComponent(user)}@${path === '' ? '/' : path}?${query}`;
  }
  return `postgres://${encodeURIComponent(user)}@${host}:${port}${path}`;
}

/**
 * Variables that could lead libpq elsewhere, or make it ask for what a loopback port does not offer (TLS, a password,
 * a Kerberos ticket): the caller's own belong to other servers.
 */
const misleading = new Set([
  'PGHOSTADDR',
  'PGSERVICE',
  'PGSERVICEFILE',
  'PGPASSWORD',
  'PGPASSFILE',
  'PGREQUIREAUTH',
  'PGCHANNELBINDING',
  'PGSSLNEGOTIATION',
  'PGSSLCERT',
  'PGSSLKEY',
  'PGSSLROOTCERT',
  'PGREQUIRESSL',
  'PGREQUIREPEER',
]);

/** Environment of a client program that needs no further word to reach the target. */
export function environment(base: NodeJS.ProcessEnv, address: PostgresAddress): NodeJS.ProcessEnv {
  const inherited = Object.entries(base).filter(([name]) => !misleading.has(name));
  return {
    ...Object.fromEntries(inherited),
    PGHOST: address.host,
    PGPORT: String(address.port),
    PGUSER: address.user,
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
    ...(address.database !== null && { PGDATABASE: address.database }),
  };
}

function value(text: string): string {
  if (/^[^\s'\\=]+$/.test(text)) return text;
  return `'${text.replaceAll(/['\\]/g, (character) => `\\${character}`)}'`;
}
