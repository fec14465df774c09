/**
 * Every exit code of `hoop`, and which failure has which. `exec` and `connect NAME -- client` end with the code of
 * the program they ran instead.
 */
import { HoopError } from '../errors.ts';
import { RelayProblem } from '../agent/problem.ts';

export const exitCodes = {
  done: 0,
  /** A fault of hoop's own, or of the machine (a full disk, a damaged file). */
  bug: 1,
  usage: 2,
  denied: 3,
  notSignedIn: 4,
  unreachable: 5,
  verificationFailed: 6,
  /** `audit search`: all was searched, and nothing found. Not grep's 1, which is a fault here: a failed search is no answer. */
  nothingFound: 7,
  /** 128 + SIGINT, as shells say it. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Codes by exit code; what stands nowhere here and is no refusal of a relay is a `bug`. */
const byExitCode: Readonly<Record<number, readonly string[]>> = {
  [exitCodes.usage]: [
    'relay-unknown',
    'profile-unknown',
    'profile-name-invalid',
    'profile-contradiction',
    'profile-ambiguous',
    'profile-exists',
    'profile-in-use',
    'relay-address-invalid',
    'relay-insecure',
    'relay-mismatch',
    'ca-file-unreadable',
    'duration-invalid',
    'command-unknown',
    'keychain-unknown',
    'port-taken',
    'local-port-unprotected',
    'client-not-found',
    'target-not-connected',
    'target-already-connected',
    'agent-request-invalid',
    'command-unquotable',
    'target-unsuitable',
    'sql-unreadable',
    'ssh-config-unwritable',
    // The operator's: a configuration, a policy or a person that cannot be as written.
    'config-unreadable',
    'config-invalid',
    'config-exposed',
    'secret-unavailable',
    'secret-exposed',
    'log-key-mismatch',
    'log-next-key-missing',
    'log-key-not-rotated',
    'rotation-refused',
    'policy-file-invalid',
    'policy-invalid',
    'policy-unreadable',
    'state-location-invalid',
    'target-unknown',
    'target-not-configured',
    'request-invalid',
    'search-pattern-invalid',
    'retention-refused',
    'stream-destination-invalid',
    'stream-cursor-invalid',
    'archive-foreign',
    'relay-check-failed',
    'reload-refused',
    'break-glass-refused',
    'policy-test-unreadable',
    'policy-test-invalid',
    'provider-not-embedded',
    'account-invalid',
    'upstream-invalid',
    'saml-not-configured',
    'user-unknown',
    'user-exists',
    'login-unknown',
    'session-not-live',
    'service-account-unknown',
    'service-account-exists',
    'key-file-unusable',
    'machine-settings-invalid',
    'machine-file-unusable',
    'password-unreadable',
    // The auditor's: what was asked for is not there, or is no such file.
    'vkey-unknown',
    'session-not-recorded',
    'channel-not-recorded',
    'task-not-recorded',
    'identity-invalid',
    'identity-exists',
    'originals-locked',
    'recipient-invalid',
    'export-exists',
    'evidence-unreadable',
    'evidence-not-found',
    'bundle-interrupted',
    'note-malformed',
  ],
  [exitCodes.denied]: ['device-login-denied', 'step-up-unmet', 'command-denied'],
  [exitCodes.notSignedIn]: [
    'not-signed-in',
    'login-expired',
    'device-login-expired',
    'keychain-locked',
    'credential-damaged',
  ],
  [exitCodes.unreachable]: [
    'relay-unreachable',
    'relay-untrusted',
    'relay-answer-invalid',
    'issuer-unreachable',
    'upstream-unreachable',
    'agent-unreachable',
    'state-unavailable',
    'relay-not-running',
    'archive-unreachable',
    'archive-refused',
  ],
  [exitCodes.verificationFailed]: [
    'originals-unreadable',
    'log-key-changed',
    'note-unverified',
    'handover-invalid',
    'bundle-malformed',
  ],
  [exitCodes.interrupted]: ['interrupted-by-signal', 'command-withdrawn'],
};
const byCode = new Map(
  Object.entries(byExitCode).flatMap(([exit, codes]) => codes.map((code) => [code, Number(exit)] as const)),
);

/** Every code that the table names: a test looks each up in docs/errors.md. */
export const codesWithExitCode: readonly string[] = [...byCode.keys()];

/** The exit code of a failure that reached the top of a command. */
export function exitCodeOf(error: unknown): number {
  const ofCode = error instanceof HoopError ? byCode.get(error.code) : undefined;
  if (ofCode !== undefined) return ofCode;
  if (error instanceof RelayProblem) return ofStatus(error.status);
  return oclifExit(error) ?? exitCodes.bug;
}

/** What the relay refused, by HTTP status. */
function ofStatus(status: number): ExitCode {
  if (status === 401) return exitCodes.notSignedIn;
  if (status === 403) return exitCodes.denied;
  if (status === 502 || status === 503 || status === 504) return exitCodes.unreachable;
  return status < 500 ? exitCodes.usage : exitCodes.bug;
}

/** The exit code that oclif attached: 2 for flags and arguments, any number after `this.exit(n)`; else null. */
export function oclifExit(error: unknown): number | null {
  if (!(error instanceof Error) || !('oclif' in error)) return null;
  const { oclif } = error;
  if (typeof oclif !== 'object' || oclif === null || !('exit' in oclif)) return null;
  return typeof oclif.exit === 'number' ? oclif.exit : null;
}

/** `this.exit(n)`: a command that has said all it had to say. */
export function isQuietExit(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIT' && oclifExit(error) !== null;
}
