/**
 * Start-up as the client sees it: questions about encryption, the version of the protocol, and which database of the
 * target is meant. The client's identity is proven by the tunnel it came through, so it is never asked for a password,
 * and the user name that it sends decides nothing.
 */
import type { HandshakeReader } from '../../bytes/handshake-reader.ts';
import { PostgresError } from './error.ts';
import { decodeStartupPacket, maximumStartupLength, newestProtocol } from './messages/startup.ts';
import type { StartupPacket } from './messages/startup.ts';

export type CancelRequest = StartupPacket & { kind: 'CancelRequest' };
export type StartupMessage = StartupPacket & { kind: 'StartupMessage' };

/** A start-up message that was understood and is allowed. */
export interface ClientStartup {
  /** 3.0 or 3.2 as negotiated; from 3.2 on, cancellation keys may be long. */
  readonly minor: number;
  /** `_pq_.` options that are not supported, when the client must be told of them or of the older version. */
  readonly negotiate: readonly string[] | null;
  readonly database: string;
  /** What the target gets besides user and database, in the client's order. */
  readonly passedOn: readonly (readonly [string, string])[];
  /** All that the client sent, for the record. */
  readonly parameters: Readonly<Record<string, string>>;
}

const tlsHandshake = 0x16;
/** A fatal TLS alert `no_application_protocol`: what a server says that has no TLS for this protocol. */
const tlsAlert = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x78]);
const refusal = Buffer.from('N');

/**
 * Reads packets until the one that says what the client wants; TLS and GSSAPI are declined, each once: the tunnel
 * encrypts already.
 * @throws PostgresError, BytesError
 */
export async function readClientStartup(reader: HandshakeReader): Promise<StartupMessage | CancelRequest> {
  const declined = new Set<string>();
  for (;;) {
    const packet = await readPacket(reader);
    if (packet.kind === 'StartupMessage' || packet.kind === 'CancelRequest') return packet;
    if (declined.has(packet.kind)) {
      throw new PostgresError('postgres-unexpected-message', `${packet.kind} came twice`);
    }
    declined.add(packet.kind);
    reader.channel.write(Buffer.from(refusal));
  }
}

async function readPacket(reader: HandshakeReader): Promise<StartupPacket> {
  if ((await reader.peek(1))[0] === tlsHandshake) {
    reader.channel.write(Buffer.from(tlsAlert));
    throw new PostgresError(
      'postgres-unsupported-protocol',
      'the client began with TLS without asking first, and there is none here: the tunnel encrypts already',
      { hint: 'Use sslmode=disable, or sslnegotiation=postgres with sslmode=prefer.' },
    );
  }
  const length = (await reader.read(4)).readUInt32BE();
  if (length < 8 || length > maximumStartupLength) {
    throw new PostgresError('postgres-malformed-message', 'invalid length of startup packet');
  }
  return decodeStartupPacket(await reader.read(length - 4));
}

/** What the target offers to clients. */
export interface DatabaseChoice {
  /** Where a client goes that names no database. */
  readonly database: string;
  /** Which others may be named; `database` always may. */
  readonly databases: readonly string[] | 'any';
}

/**
 * Checks a start-up message against what is offered.
 * @throws PostgresError `postgres-unsupported-protocol`, `postgres-replication-refused`, `postgres-role-refused`,
 * `postgres-unknown-database`
 */
export function acceptStartup(message: StartupMessage, choice: DatabaseChoice): ClientStartup {
  if (message.major !== 3) {
    throw new PostgresError(
      'postgres-unsupported-protocol',
      `unsupported frontend protocol ${message.major}.${message.minor}: 3.0 to 3.2 are served`,
    );
  }
  const unsupported = message.parameters.map(([name]) => name).filter((name) => name.startsWith('_pq_.'));
  const newer = message.minor > (newestProtocol & 0xffff);
  const passedOn = message.parameters.filter(([name]) => !reserved.has(name) && !name.startsWith('_pq_.'));
  refuseReplication(message.parameters);
  refuseRole(message.parameters);
  return {
    minor: newer ? newestProtocol & 0xffff : message.minor,
    negotiate: newer || unsupported.length > 0 ? unsupported : null,
    database: chooseDatabase(message.parameters, choice),
    passedOn,
    parameters: Object.fromEntries(message.parameters),
  };
}

/** Parameters that the relay decides about and does not pass on as they are. */
const reserved = new Set(['user', 'database', 'replication']);

const lastOf = (parameters: StartupMessage['parameters'], name: string): string | undefined =>
  parameters.findLast(([found]) => found === name)?.[1];

function refuseReplication(parameters: StartupMessage['parameters']): void {
  for (const [name, value] of parameters) {
    if (name !== 'replication' || /^(f|fa|fal|fals|false|n|no|of|off|0)$/i.test(value)) continue;
    throw new PostgresError('postgres-replication-refused', 'replication connections are not served', {
      hint: 'Replication copies the whole database past every rule; connect without the parameter "replication".',
    });
  }
}

/** Names of settings that are SET ROLE, and `-c` or `--` before them. */
const role = /^(?:--|-.*c)?(?:role|session[-_]authorization)$/i;

function refuseRole(parameters: StartupMessage['parameters']): void {
  for (const [name, value] of parameters) {
    const names = name === 'options' ? wordsOf(value).map((word) => word.replace(/=[^]*/, '')) : [name];
    if (!names.some((setting) => role.test(setting))) continue;
    throw new PostgresError('postgres-role-refused', 'a connection does not begin with another role', {
      hint: 'Send SET ROLE when connected: policy decides about it.',
    });
  }
}

/** As the target takes `options` apart: at white space, and a backslash keeps what follows. */
const wordsOf = (options: string): string[] =>
  (options.match(/(?:\\[^]|[^\\ \t\n\v\f\r])+/g) ?? []).map((word) => word.replaceAll(/\\([^])/g, '$1'));

function chooseDatabase(parameters: StartupMessage['parameters'], choice: DatabaseChoice): string {
  const asked = lastOf(parameters, 'database');
  if (asked === undefined || asked === '' || asked === choice.database) return choice.database;
  if (choice.databases === 'any' || choice.databases.includes(asked)) return asked;
  const offered = [...new Set([choice.database, ...choice.databases])].map((name) => `"${name}"`).join(', ');
  const byDefault =
    asked === lastOf(parameters, 'user') ? ' Without a name psql asks for one called like the user.' : '';
  throw new PostgresError('postgres-unknown-database', `database "${asked}" is not offered here`, {
    hint: `This target offers ${offered}; name it, for example dbname=${choice.database}.${byDefault}`,
  });
}
