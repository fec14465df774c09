/** Signing in from a terminal: the page and the code, and a fresh sign-in in the middle of another command. */
import type { Account } from '../agent/account.ts';
import { AgentError } from '../agent/error.ts';
import type { DevicePrompt } from '../agent/issuer.ts';
import { signInAgain } from '../agent/login.ts';
import { RelayProblem } from '../agent/problem.ts';
import type { StepUp } from '../model/authentication.ts';
import { openBrowser } from './browser.ts';
import type { HoopCommand } from './command.ts';
import { interruption } from './signals.ts';

/** Tells where to go and, if wanted, goes there. */
export function devicePrompt(command: HoopCommand, browser: boolean): (prompt: DevicePrompt) => void {
  return ({ url, code, completeUrl }) => {
    command.note(`  Open ${url} and enter  ${code}`);
    if (browser)
      void openBrowser(completeUrl ?? url).then((opened) => {
        if (opened) command.note('  (opened in your browser)');
      });
  };
}

/**
 * Does the work; where the relay asks for a fresh sign-in and a person is there to give it, asks for it and does the work
 * once more. Without a terminal the relay's own error says which command brings one.
 * @throws AgentError `step-up-unmet` when the relay asks again; what `work` throws
 */
export async function withStepUp<T>(
  command: HoopCommand,
  account: Account,
  work: (account: Account) => Promise<T>,
): Promise<T> {
  try {
    return await work(account);
  } catch (error) {
    const stepUp = stepUpOf(error);
    if (stepUp === null || !process.stderr.isTTY) throw error;
    command.note(`  ${(error as RelayProblem).message}`);
    await signInAgain(account, { stepUp, prompt: devicePrompt(command, true), signal: interruption() });
  }
  try {
    return await work(account);
  } catch (error) {
    if (stepUpOf(error) === null) throw error;
    throw new AgentError(
      'step-up-unmet',
      'you have signed in again, and it is not what the policy asks for',
      {
        hint: 'ask whoever runs the identity provider: it says neither when (auth_time) nor how (acr) you signed in, or not as asked',
        cause: error,
      },
    );
  }
}

const stepUpOf = (error: unknown): StepUp | null => (error instanceof RelayProblem ? error.stepUp : null);
