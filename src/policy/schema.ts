/**
 * The vocabulary of hoop's policies, as a Cedar schema (https://docs.cedarpolicy.com/schema/human-readable-schema.html).
 * Every policy is validated against it before the relay starts: a misspelt action, group attribute or context key is
 * an error with line and column, never a rule that silently does not apply.
 *
 * Entity ids: a principal is `issuer#subject` (an OpenID issuer has no fragment, so the first `#` separates), a target
 * and the groups are their names, a session is its ULID, the relay is `Relay::"this"`. E-mail is an optional attribute
 * that a policy may read; it never identifies anybody.
 */

/** Actions of the schema, as they stand in `Action::"…"`. */
export const actions = [
  'connect',
  'execute',
  'forward',
  'review',
  'kill',
  'readEvidence',
  'unseal',
  'reseal',
  'administer',
  'delegate',
] as const;
export type Action = (typeof actions)[number];

/** Id of the one `Relay` entity. */
export const relayId = 'this';

export const schema = `
entity Group;
entity Person, Service in [Group] {
  issuer: String,
  subject: String,
  email?: String,
};
// "actsFor": the person on whose behalf it acts, in that person's groups; the agent itself is in its own alone.
entity Agent in [Group] {
  issuer: String,
  subject: String,
  email?: String,
  actsFor?: Person,
};

entity TargetGroup;
entity Target in [TargetGroup] {
  name: String,
  protocol: String,
};

// A session is "in" its target, so that a rule for a target covers the sessions at it.
entity Session in [Target] {
  ownerIssuer: String,
  ownerSubject: String,
};
entity Relay;

// How the person was authenticated, as the provider says: authAgeSeconds (whole seconds since auth_time) and acr are
// absent where it does not say.
action connect appliesTo {
  principal: [Person, Service, Agent],
  resource: [Target],
  context: {
    time: datetime,
    sourceAddress: ipaddr,
    authAgeSeconds?: Long,
    acr?: String,
    amr: Set<String>,
    durationSeconds: Long,
    reason?: String,
    task?: String,
  },
};

// forward: a way through the target for other connections (ports, agents, X11); nothing that permits execute permits it.
action execute, forward appliesTo {
  principal: [Person, Service, Agent],
  resource: [Target],
  context: {
    time: datetime,
    sourceAddress: ipaddr,
    authAgeSeconds?: Long,
    acr?: String,
    amr: Set<String>,
    // Names of effects are checked when policies are loaded (model/command-facts.ts lists them).
    effects: Set<String>,
    relations: Set<String>,
    functions: Set<String>,
    programs: Set<String>,
    // Each file with every directory above it, which ends in a slash: contains("/etc/") is anything under it.
    paths: Set<String>,
    // host:port
    destinations: Set<String>,
    unbounded: Bool,
    reason?: String,
    task?: String,
  },
};

// "own": the session belongs to the principal who asks, or to an agent that acts for that person.
action kill, unseal, reseal, review appliesTo {
  principal: [Person, Service, Agent],
  resource: [Session],
  context: { time: datetime, sourceAddress: ipaddr, authAgeSeconds?: Long, acr?: String, amr: Set<String>, own: Bool },
};

// On the relay: everything it ever recorded, sign-ins included.
action readEvidence appliesTo {
  principal: [Person, Service, Agent],
  resource: [Session, Relay],
  context: { time: datetime, sourceAddress: ipaddr, authAgeSeconds?: Long, acr?: String, amr: Set<String>, own: Bool },
};

action administer appliesTo {
  principal: [Person, Service, Agent],
  resource: [Relay],
  context: { time: datetime, sourceAddress: ipaddr, authAgeSeconds?: Long, acr?: String, amr: Set<String> },
};

// A person lets an agent act for them; the resource is the agent as it is without anybody.
action delegate appliesTo {
  principal: [Person],
  resource: [Agent],
  context: {
    time: datetime,
    sourceAddress: ipaddr,
    authAgeSeconds?: Long,
    acr?: String,
    amr: Set<String>,
    durationSeconds: Long,
  },
};
`;
