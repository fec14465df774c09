/**
 * Who asks S3: keys that the configuration refers to, or what a program answers, as AWS's `credential_process` does
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html): roles of machines, of pods and of
 * single sign-on come that way (`aws configure export-credentials --format process`).
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ArchiveError } from '../error.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Asked for each request. @throws ArchiveError `archive-refused`; ConfigError of a secret */
export type CredentialSource = () => Promise<S3Credentials>;

const Answer = z.object({
  Version: z.literal(1),
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  SessionToken: z.string().optional(),
  Expiration: z.iso.datetime({ offset: true }).optional(),
});

const timeoutMs = 30_000;
/** Fetched anew so long before they expire. */
const beforeMs = 300_000;
/** Those that do not say when they expire may be replaced all the same. */
const longestMs = 900_000;
const run = promisify(execFile);

/** @param argv no shell takes part */
export function credentialsOfProgram(
  argv: readonly string[],
  nowMs: () => number = Date.now,
): CredentialSource {
  let known: { readonly credentials: S3Credentials; readonly untilMs: number } | null = null;
  let asking: Promise<S3Credentials> | null = null;
  const ask = async (): Promise<S3Credentials> => {
    const answer = Answer.safeParse(await answerOf(argv));
    if (!answer.success) throw refused('does not answer with credentials (Version 1)');
    const {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration,
    } = answer.data;
    const credentials = { accessKeyId, secretAccessKey, sessionToken };
    known = {
      credentials,
      untilMs: Expiration === undefined ? nowMs() + longestMs : Date.parse(Expiration) - beforeMs,
    };
    return credentials;
  };
  return async () => {
    if (known !== null && nowMs() < known.untilMs) return known.credentials;
    asking ??= ask().finally(() => {
      asking = null;
    });
    return asking;
  };
}

async function answerOf([program = '', ...words]: readonly string[]): Promise<unknown> {
  let stdout: string;
  try {
    ({ stdout } = await run(program, words, { timeout: timeoutMs, maxBuffer: 65_536 }));
  } catch {
    // Its error holds what it was called with and what it wrote: neither is for a log.
    throw refused('failed');
  }
  try {
    return JSON.parse(stdout);
  } catch {
    return null;
  }
}

const refused = (why: string): ArchiveError =>
  new ArchiveError('archive-refused', `the program that gives the archive’s credentials ${why}`);
