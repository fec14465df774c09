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
  /** 128 + SIGINT, as shells say it. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const byCode: Readonly<Record<string, ExitCode>> = {
  'relay-unknown': exitCodes.usage,
  'relay-address-invalid': exitCodes.usage,
  'relay-insecure': exitCodes.usage,
  'relay-mismatch': exitCodes.usage,
  'ca-file-unreadable': exitCodes.usage,
  'duration-invalid': exitCodes.usage,
  'keychain-unknown': exitCodes.usage,
  'port-taken': exitCodes.usage,
  'client-not-found': exitCodes.usage,
  'target-not-connected': exitCodes.usage,
  'target-unknown': exitCodes.usage,
  'agent-request-invalid': exitCodes.usage,
  'config-invalid': exitCodes.usage,
  'config-unreadable': exitCodes.usage,
  'policy-invalid': exitCodes.usage,
  'policy-unreadable': exitCodes.usage,
  'relay-check-failed': exitCodes.usage,
  'provider-not-embedded': exitCodes.usage,
  'account-invalid': exitCodes.usage,
  'user-unknown': exitCodes.usage,
  'user-exists': exitCodes.usage,
  'password-unreadable': exitCodes.usage,
  'device-login-denied': exitCodes.denied,
  'device-login-expired': exitCodes.notSignedIn,
  'not-signed-in': exitCodes.notSignedIn,
  'login-expired': exitCodes.notSignedIn,
  'keychain-locked': exitCodes.notSignedIn,
  'issuer-unreachable': exitCodes.unreachable,
  'relay-unreachable': exitCodes.unreachable,
  'relay-untrusted': exitCodes.unreachable,
  'interrupted-by-signal': exitCodes.interrupted,
  'log-key-changed': exitCodes.verificationFailed,
};

/** The exit code of a failure that reached the top of a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof HoopError && byCode[error.code] !== undefined) return byCode[error.code]!;
  if (error instanceof RelayProblem) return ofStatus(error.status);
  const exit = oclifExit(error);
  // plugin-not-found says 127, which belongs to shells: to the person a mistyped command is wrong usage.
  return exit === 127 ? exitCodes.usage : (exit ?? exitCodes.bug);
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
