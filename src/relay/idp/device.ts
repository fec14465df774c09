/**
 * `/device`: the pages of the device grant (RFC 8628 §3.3). A code is never taken from a link without the person seeing
 * it: `verification_uri_complete` only fills the field. Wrong codes are counted per address (§5.1).
 */
import type { Context, DeviceInfo, ErrorOut } from 'oidc-provider';
import { codeEntryPage, confirmPage, donePage, problemPage, type Place } from './pages.ts';
import { addressGroup, limits, type RateLimit } from './rate-limit.ts';

/** What middleware and pages tell one another in the context's state. */
const linked = 'linkedUserCode';
const wrong = 'wrongUserCode';

/** Takes `user_code` out of the link before the provider would submit it by a script. */
export function keepLinkedCode(context: Context): void {
  const code = context.query['user_code'];
  if (typeof code === 'string') context.state[linked] = code.slice(0, 16);
  context.url = context.path;
}

/** Runs what takes a code. Null: done. A number: milliseconds until the next code of this address is heard. */
export async function enterCode(
  context: Context,
  rateLimit: RateLimit,
  next: () => Promise<void>,
): Promise<number | null> {
  const from = addressGroup(context.ip);
  const wait = await rateLimit.enter(limits.userCode, from);
  if (wait !== null) return wait;
  await next();
  if (context.state[wrong] !== true) await rateLimit.forgive(limits.userCode, from);
  return null;
}

/** The `deviceFlow` feature of the provider's configuration. */
export function deviceFlow(place: Place) {
  return {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    deviceInfo: (context: Context): DeviceInfo => ({
      ip: context.ip,
      ua: context.get('user-agent').slice(0, 200),
    }),
    userCodeInputSource: (context: Context, _form: string, _out?: ErrorOut, error?: Error) => {
      const code = context.state[linked];
      // The browser does not stay signed in, whatever went wrong after the password.
      delete context.oidc.session.accountId;
      if (error !== undefined && error.name !== 'AbortedError') context.state[wrong] = true;
      context.type = 'html';
      if (error !== undefined && context.oidc.session.exp === undefined) {
        // No cookie came, and none can be set any more: a form would fail again.
        context.oidc.session.touched = false;
        context.body = problemPage(place, problemOf(error));
        return;
      }
      context.body = codeEntryPage(place, {
        action: context.oidc.urlFor('code_verification'),
        xsrf: context.oidc.session.state?.secret ?? '',
        userCode: typeof code === 'string' ? code : '',
        problem: error === undefined ? null : problemOf(error),
      });
    },
    userCodeConfirmSource: (
      context: Context,
      _form: string,
      _client: unknown,
      info: DeviceInfo,
      userCode: string,
    ) => {
      context.type = 'html';
      context.body = confirmPage(place, {
        action: context.oidc.urlFor('code_verification'),
        xsrf: context.oidc.session.state?.secret ?? '',
        userCode,
        address: info.ip,
        userAgent: info.ua,
      });
    },
    successSource: async (context: Context) => {
      // The browser does not stay signed in: the next code asks for the password again.
      await context.oidc.session.destroy();
      context.type = 'html';
      context.body = donePage(place);
    },
  };
}

function problemOf(error: Error): string {
  switch (error.name) {
    case 'NotFoundError':
    case 'NoCodeError':
      return 'There is no such code. Check it and try again.';
    case 'ExpiredError':
      return 'The code has expired. Start again in the terminal.';
    case 'AlreadyUsedError':
      return 'The code was used already. Start again in the terminal.';
    case 'AbortedError':
      return 'Refused: the terminal was not signed in.';
    default:
      return 'This page has expired. Enter the code again.';
  }
}
