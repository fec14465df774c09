/** Failures of the local agent and of the calls to a relay; codes are listed in docs/errors.md. */
import { HoopError } from '../errors.ts';

export type AgentErrorCode =
  | 'relay-unknown' // no relay named, none signed in to
  | 'profile-unknown'
  | 'profile-name-invalid'
  | 'profile-contradiction' // the profile is of another relay than the one named
  | 'profile-ambiguous' // the relay named has several
  | 'profile-exists'
  | 'profile-in-use' // the background agent serves it
  | 'relay-address-invalid'
  | 'relay-insecure' // plain HTTP to somewhere else than this machine
  | 'relay-mismatch' // the discovery document belongs to another address
  | 'relay-unreachable'
  | 'relay-untrusted' // TLS: certificate or name
  | 'relay-answer-invalid' // not the API's schema
  | 'ca-file-unreadable'
  | 'machine-settings-invalid' // HOOP_TOKEN and its like contradict one another
  | 'machine-file-unusable' // the file of a token, key or secret
  | 'not-signed-in'
  | 'login-expired' // the issuer or the relay will not renew it
  | 'device-login-denied'
  | 'device-login-expired'
  | 'device-login-unsupported'
  | 'step-up-unmet' // the person signed in again, and the policy is not content
  | 'log-key-changed'
  | 'settings-damaged'
  | 'credential-damaged'
  | 'port-taken'
  | 'session-ended'
  | 'command-denied' // by policy, or by the people who were asked
  | 'command-withdrawn' // interrupted while people were asked
  | 'command-unquotable' // what is to be run is no text that can be passed on exactly
  | 'target-unsuitable' // what was asked for is not for targets of this protocol
  | 'result-too-large' // more than one JSON document may hold
  | 'client-not-found'
  | 'target-not-connected'
  | 'target-already-connected'
  | 'agent-unreachable'
  | 'agent-request-invalid';

export class AgentError extends HoopError<AgentErrorCode> {}
