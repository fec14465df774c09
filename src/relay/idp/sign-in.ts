/** `/interaction/:uid`: the form for e-mail and password, between the confirmation of a code and the provider's answer. */
import type { Context, Provider } from 'oidc-provider';
import type { Accounts } from './accounts.ts';
import { ownInteraction, readForm } from './interaction.ts';
import { problemPage, signInPage, type Place } from './pages.ts';

/** @returns the middleware's answer to `path`; the caller has matched it */
export async function signIn(
  context: Context,
  provider: Provider,
  accounts: Accounts,
  place: Place,
): Promise<void> {
  if ((await ownInteraction(context, provider, place)) === null) return;
  const action = `${place.base}${context.path}`;
  if (context.method !== 'POST') {
    context.body = signInPage(place, { action, email: '', problem: null });
    return;
  }
  // The interaction's cookie is SameSite=Lax already; browsers that tell who asks are believed too.
  if (!['', 'same-origin', 'none'].includes(context.get('sec-fetch-site'))) {
    context.status = 403;
    context.body = problemPage(place, 'The form was sent from another site.');
    return;
  }
  const form = await readForm(context.req);
  if (form === null) {
    context.status = 413;
    context.body = problemPage(place, 'The form was too long.');
    return;
  }
  const email = form.get('email') ?? '';
  const outcome = await accounts.signIn(email, form.get('password') ?? '', context.ip);
  switch (outcome.kind) {
    case 'signed-in': {
      // Told: else the provider takes the moment at which the browser goes on, and that may be after a revocation.
      const ts = Math.floor(outcome.atMs / 1000);
      const result = { login: { accountId: outcome.user.id, amr: ['pwd'], ts, remember: false } };
      context.status = 303;
      context.redirect(await provider.interactionResult(context.req, context.res, result));
      return;
    }
    case 'refused':
      context.status = 401;
      context.body = signInPage(place, { action, email, problem: 'Wrong e-mail or password.' });
      return;
    case 'try-later':
      context.status = 429;
      context.set('retry-after', String(Math.ceil(outcome.retryAfterMs / 1000)));
      context.body = signInPage(place, { action, email, problem: 'Too many tries. Wait a few minutes.' });
      return;
    default:
      outcome satisfies never;
  }
}
