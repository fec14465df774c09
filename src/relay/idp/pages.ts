/**
 * The pages a person meets when signing in: enter the code, confirm the request, sign in, done. Plain HTML without any
 * script, one style sheet from the same origin; readable by a screen reader and on a phone. Everything shown that came
 * from a request is escaped.
 */
import { html, type Html } from './html.ts';

/** For every answer of the provider; `style.css` is the only thing a page loads. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export interface Place {
  /** Path of the provider without trailing slash: `/idp`. */
  readonly base: string;
  /** Host of the relay, as people know it. */
  readonly host: string;
}

/** @param failed said first in the title, where a screen reader begins */
function page({ base, host }: Place, title: string, body: Html, failed = false): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${failed ? 'Error: ' : ''}${title} · hoop</title>
        <link rel="stylesheet" href="${base}/style.css" />
      </head>
      <body>
        <main>
          <p class="host">hoop at ${host}</p>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`.text;
}

const problem = (text: string | null): Html =>
  text === null ? html`` : html`<p class="problem" role="alert" id="problem">${text}</p>`;

/** Says to a screen reader at the field what is wrong, where something is. */
const fieldState = (text: string | null, hint = ''): Html => {
  const described = [text === null ? '' : 'problem', hint].filter((id) => id !== '').join(' ');
  const invalid = text === null ? html`` : html`aria-invalid="true"`;
  return described === '' ? invalid : html`aria-describedby="${described}" ${invalid}`;
};

export interface CodeEntry {
  readonly action: string;
  readonly xsrf: string;
  /** What to put into the field; '' for nothing. */
  readonly userCode: string;
  readonly problem: string | null;
}

export const codeEntryPage = (place: Place, entry: CodeEntry): string =>
  page(
    place,
    'Sign in a terminal',
    html`${problem(entry.problem)}
      <form method="post" action="${entry.action}">
        <input type="hidden" name="xsrf" value="${entry.xsrf}" />
        <label for="user_code">Code shown in the terminal</label>
        <input
          id="user_code"
          class="code"
          name="user_code"
          type="text"
          value="${entry.userCode}"
          required
          autofocus
          autocomplete="off"
          autocapitalize="characters"
          spellcheck="false"
          maxlength="16"
          ${fieldState(entry.problem, 'hint')}
        />
        <p id="hint" class="small">Eight letters, such as WDJB-MJHT</p>
        <button type="submit">Continue</button>
      </form>`,
    entry.problem !== null,
  );

export interface Confirmation {
  readonly action: string;
  readonly xsrf: string;
  readonly userCode: string;
  readonly terminal: {
    readonly ip: string;
    /** What it says of itself; '' for what it does not say. */
    readonly host: string;
    readonly user: string;
    readonly ua: string;
    readonly askedAtMs: number;
  };
  readonly nowMs: number;
  /** Address of the browser when it is in another network than the terminal; else null. */
  readonly elsewhere: string | null;
}

const fact = (name: string, value: string): Html =>
  value === ''
    ? html``
    : html`<dt>${name}</dt>
        <dd>${value}</dd>`;

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return seconds === 1 ? '1 second ago' : `${seconds} seconds ago`;
  const minutes = Math.floor(seconds / 60);
  return minutes === 1 ? '1 minute ago' : `${minutes} minutes ago`;
}

/** The same everywhere, since a page without script knows no time zone. */
const askedAt = (ms: number, nowMs: number): string =>
  `${new Date(ms).toISOString().slice(11, 16)} UTC, ${ago(nowMs - ms)}`;

export const confirmPage = (place: Place, confirmation: Confirmation): string => {
  const { terminal, elsewhere } = confirmation;
  return page(
    place,
    'Is this your terminal?',
    html`<p>
        Somebody asks to be signed in <strong>as you</strong>. Go on only if you started this yourself, just
        now, and your terminal shows this code:
      </p>
      <p class="code">${confirmation.userCode}</p>
      ${elsewhere === null ? html`` : warning(elsewhere, terminal.ip)}
      <dl>
        ${fact('Address', terminal.ip)} ${fact('Computer', terminal.host)}
        ${fact('User there', terminal.user)} ${fact('Program', terminal.ua)}
        ${fact('Asked', askedAt(terminal.askedAtMs, confirmation.nowMs))} ${fact('Signs in to', place.host)}
      </dl>
      <p class="small">
        Computer, user and program are what the terminal says of itself. Never confirm a code that somebody
        sent you or read out to you: whoever does that is signed in as you.
      </p>
      <form method="post" action="${confirmation.action}">
        <input type="hidden" name="xsrf" value="${confirmation.xsrf}" />
        <input type="hidden" name="user_code" value="${confirmation.userCode}" />
        <input type="hidden" name="confirm" value="yes" />
        <button type="submit">Yes, continue</button>
        <button type="submit" class="other" name="abort" value="yes">No, refuse it</button>
      </form>`,
  );
};

const warning = (browser: string, terminal: string): Html =>
  html`<div class="warning" role="alert">
    <strong>Your terminal seems to be somewhere else.</strong> It asks from ${terminal}, and this browser is
    at ${browser}. Go on only if you signed in from a server or another network yourself.
  </div>`;

export interface SignInForm {
  readonly action: string;
  /** What was entered; '' at first. */
  readonly email: string;
  readonly problem: string | null;
}

export const signInPage = (place: Place, form: SignInForm): string =>
  page(
    place,
    'Sign in',
    html`${problem(form.problem)}
      <form method="post" action="${form.action}">
        <label for="email">E-mail</label>
        <input
          id="email"
          name="email"
          type="email"
          value="${form.email}"
          required
          ${form.email === '' ? html`autofocus` : html``}
          ${fieldState(form.problem)}
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          maxlength="254"
        />
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          required
          ${form.email === '' ? html`` : html`autofocus`}
          ${fieldState(form.problem)}
          autocomplete="current-password"
          maxlength="256"
        />
        <button type="submit">Sign in</button>
      </form>`,
    form.problem !== null,
  );

/** @param url of the upstream; the browser goes there by itself (`Refresh`), or by the link */
export const leavePage = (place: Place, url: string): string =>
  page(
    place,
    'Sign in',
    html`<p>You sign in at <strong>${new URL(url).host}</strong>, and come back here.</p>
      <p><a href="${url}">Continue there</a></p>`,
  );

export const donePage = (place: Place): string =>
  page(place, 'Signed in', html`<p role="status">Your terminal is signed in. You can close this page.</p>`);

export const problemPage = (place: Place, text: string): string =>
  page(
    place,
    'That did not work',
    html`${problem(text)}
      <p>
        Start again in the terminal with <code>hoop login</code>, or
        <a href="${place.base}/device">enter a code</a>.
      </p>`,
    true,
  );

export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #f6f7f9; --card: #ffffff; --edge: #dfe3e8; --line: #737c87; --act: #0b5cad; --bad: #a40e26; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --paper: #14171a; --card: #1e2226; --edge: #2c3238; --line: #7d8793; --act: #7db7f0; --bad: #ff8b94; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(26rem, 100% - 2rem); margin: clamp(1rem, 8vh, 5rem) auto; padding: 1.5rem; background: var(--card);
  border: 1px solid var(--edge); border-radius: 0.75rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 1rem; }
.host { margin: 0 0 0.5rem; font-size: 0.875rem; opacity: 0.8; overflow-wrap: anywhere; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: 0.25rem; padding: 0.75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: 0.5rem; }
button { display: block; width: 100%; margin-top: 1.25rem; padding: 0.75rem; font: inherit; font-weight: 600; color: var(--card);
  background: var(--act); border: 1px solid var(--act); border-radius: 0.5rem; cursor: pointer; }
button.other { color: var(--act); background: transparent; margin-top: 0.75rem; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
.code { font-family: ui-monospace, monospace; font-size: 1.5rem; letter-spacing: 0.1em; text-align: center; text-transform: uppercase; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; margin: 1rem 0; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
a { color: var(--act); }
.small { font-size: 0.875rem; margin: 0.5rem 0 0; }
.problem { color: var(--bad); font-weight: 600; }
.problem, .warning { margin: 1rem 0; padding: 0.75rem 1rem; border: 1px solid var(--bad); border-left-width: 0.375rem; border-radius: 0.5rem; }
.warning strong { display: block; color: var(--bad); }
`;
