/** The shape of a target in `relay.yaml`: what all have, and what each protocol adds. */
import { z } from 'zod';
import { closed, file, groupName, oneOf, port, text } from './shapes.ts';

const targetTls = closed({
  mode: oneOf('verify-full', 'disable').optional(),
  acknowledgePlaintext: z.literal(true, { error: 'expected true, or leave it out' }).optional(),
  caFile: file.optional(),
  certFile: file.optional(),
  keyFile: file.optional(),
  serverName: text('a host name', 253).optional(),
});

const postgres = closed({
  protocol: oneOf('postgres'),
  description: text('one line of text').optional(),
  groups: z.array(groupName).default([]),
  host: text('a host name, an address, or the absolute path of a socket directory'),
  port: port.default(5432),
  database: text('the name of a database', 63),
  databases: z
    .union([z.literal('any'), z.array(text('the name of a database', 63))], {
      error: 'expected a list of names of databases, or any',
    })
    .default([]),
  user: text('the name of a role, or env:NAME or file:PATH', 4096),
  password: text('env:NAME or file:PATH', 4096).optional(),
  tls: targetTls.prefault({}),
});

const reference = text('env:NAME or file:PATH', 4096);
const hostKey = text('a host key as in known_hosts: its type and its base64', 4096);
const hop = {
  host: text('a host name or an address'),
  port: port.default(22),
  privateKey: reference.optional(),
  passphrase: reference.optional(),
  password: reference.optional(),
  hostKeys: z.array(hostKey).min(1, 'expected at least one host key').optional(),
};

const ssh = closed({
  protocol: oneOf('ssh'),
  description: text('one line of text').optional(),
  groups: z.array(groupName).default([]),
  ...hop,
  user: text('the name of a login, or env:NAME or file:PATH', 4096).optional(),
  logins: z
    .array(
      closed({
        email: text('an e-mail address', 320).optional(),
        subject: text('the subject that the identity provider gives', 256).optional(),
        group: groupName.optional(),
        user: text('the name of a login', 256),
      }),
    )
    .default([]),
  jump: z
    .array(closed({ ...hop, user: text('the name of a login, or env:NAME or file:PATH', 4096) }))
    .max(4, 'expected at most 4 jump hosts')
    .default([]),
});

export const target = z.discriminatedUnion('protocol', [postgres, ssh], {
  error: (issue) => (issue.code === 'invalid_union' ? 'expected postgres or ssh' : 'expected a mapping'),
});
export type PostgresTargetFile = z.output<typeof postgres>;
export type SshTargetFile = z.output<typeof ssh>;
