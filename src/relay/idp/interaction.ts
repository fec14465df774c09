/** What the two ways to sign in (a form of ours, an upstream) share: whose interaction a request is, and its form. */
import type { IncomingMessage } from 'node:http';
import { errors, type Context, type Interaction, type Provider } from 'oidc-provider';
import { problemPage, type Place } from './pages.ts';

const maxBodyBytes = 8192;

/** Null, and the page says so, unless the cookie of this very interaction, bound to its path, comes with the request. */
export async function ownInteraction(
  context: Context,
  provider: Provider,
  place: Place,
): Promise<Interaction | null> {
  context.type = 'html';
  try {
    const interaction = await provider.interactionDetails(context.req, context.res);
    if (context.path === `/interaction/${interaction.uid}` && interaction.prompt.name === 'login')
      return interaction;
  } catch (error) {
    if (!(error instanceof errors.SessionNotFound)) throw error;
  }
  context.status = 400;
  context.body = problemPage(place, 'This sign-in has expired, or was started in another browser.');
  return null;
}

/** Null when it is too long. */
export async function readForm(
  request: IncomingMessage,
  maxBytes = maxBodyBytes,
): Promise<URLSearchParams | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) throw new TypeError('a request body is bytes');
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
  }
  return bytes > maxBytes ? null : new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
