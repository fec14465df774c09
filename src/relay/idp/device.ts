/**
 * `/device`: the pages of the device grant (RFC 8628 §3.3). A code is never taken from a link without the person seeing
 * it: `verification_uri_complete` only fills the field. Wrong codes are counted, per address and over all (§5.1); the page
 * of confirmation shows where the terminal is (§5.4); and a code is redeemed by the key that asked for it alone.
 */
import type { Context, DeviceInfo, ErrorOut } from 'oidc-provider';
import type { Clock } from '../../system/clock.ts';
import type { Artefacts } from '../state/artefacts.ts';
import { codeEntryPage, confirmPage, donePage, problemPage, type Place } from './pages.ts';
import { addressGroup, limits, sameNetwork, type RateLimit } from './rate-limit.ts';

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
  // In turn: who is not heard any more must not count against everybody.
  const wait =
    (await rateLimit.enter(limits.userCode, from)) ?? (await rateLimit.enter(limits.allUserCodes, 'all'));
  if (wait !== null) return wait;
  await next();
  if (context.state[wrong] === true) return null;
  await rateLimit.forgive(limits.userCode, from);
  await rateLimit.forgive(limits.allUserCodes, 'all');
  return null;
}

/**
 * After the provider has issued tokens for a device code: none leaves for another key than the one that asked for the code.
 * Whoever came by a code on its way has burnt it.
 */
export async function refuseOtherKey(context: Context, artefacts: Artefacts): Promise<void> {
  const { AccessToken: token, DeviceCode: code } = context.oidc.entities;
  const jkt = code?.deviceInfo?.jkt ?? null;
  if (token === undefined || jkt === null || token.jkt === jkt) return;
  if (token.grantId !== undefined) await artefacts.removeGrant(token.grantId);
  context.status = 400;
  context.body = { error: 'invalid_grant', error_description: 'grant request is invalid' };
}

/** Nothing that moves, hides or turns text round; one line; not long. */
function shown(value: string | string[] | undefined): string {
  if (typeof value !== 'string') return '';
  const text = value
    .slice(0, 512)
    .normalize('NFC')
    .replace(/\s+/g, ' ')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '');
  // Marks that stack up would run over the lines around.
  const plain = text.replace(/(\p{M}{2})\p{M}+/gu, '$1').trim();
  return plain.length > 64 ? `${plain.slice(0, 63)}…` : plain;
}

/** The `deviceFlow` feature of the provider's configuration. */
export function deviceFlow(place: Place, clock: Clock) {
  return {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    deviceInfo: (context: Context): DeviceInfo => {
      const body = context.oidc.body ?? {};
      const jkt = body['dpop_jkt'];
      return {
        ip: context.ip,
        ua: shown(context.get('user-agent')),
        host: shown(body['hoop_host']),
        user: shown(body['hoop_user']),
        askedAtMs: clock.wallMs(),
        jkt: typeof jkt === 'string' && /^[\w-]{43}$/.test(jkt) ? jkt : null,
      };
    },
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
        terminal: info,
        nowMs: clock.wallMs(),
        elsewhere: sameNetwork(info.ip, context.ip) ? null : context.ip,
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
