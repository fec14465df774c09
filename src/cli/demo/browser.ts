/**
 * What a person does in a browser to confirm a device login (RFC 8628 §3.3), over plain HTTP: opens the page, fills
 * the forms in and submits them, with cookies and redirects. It reads HTML as far as forms need and runs no script,
 * so it also shows that the pages work without one.
 *
 * Only for the tour and the tests, which know the password of a person that they made up.
 */
import { HoopError } from '../../errors.ts';

/** `device-pages-failed`: a page answered with an error, or asked again for what it had been given. */
export class BrowserError extends HoopError<'device-pages-failed'> {}

export interface DeviceAnswers {
  readonly email: string;
  readonly password: string;
  /** As shown by `hoop login`; typed where the page asks for it. */
  readonly userCode: string;
}

/** The part of `fetch` that pages need; Node's own and undici's both are one. */
export type PageFetch = (url: URL, init?: PageRequest) => Promise<PageAnswer>;

export interface PageRequest {
  redirect: 'manual';
  headers: Record<string, string>;
  method?: 'POST';
  body?: URLSearchParams;
}

interface PageAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: { get(name: string): string | null; getSetCookie(): string[] };
  text(): Promise<string>;
}

interface Page {
  readonly url: URL;
  readonly html: string;
}

const mostPages = 8;

/**
 * @param fetchPage `fetch`, or one that trusts a private authority
 * @returns the text of the page that says it is done
 * @throws BrowserError `device-pages-failed`
 */
export async function confirmDevice(
  uri: string,
  answers: DeviceAnswers,
  fetchPage: PageFetch = fetch,
): Promise<string> {
  const cookies = new Map<string, string>();
  let page = await open(fetchPage, cookies, new URL(uri));
  const seen = new Set<string>();
  for (let pages = 0; pages < mostPages; pages++) {
    const form = firstForm(page);
    if (form === null) return textOf(page.html);
    const fingerprint = `${form.asks.join()} ${textOf(page.html)}`;
    if (seen.has(fingerprint)) break;
    seen.add(fingerprint);
    page = await open(fetchPage, cookies, form.action, fill(form, answers));
  }
  throw new BrowserError('device-pages-failed', `the page asks again: ${textOf(page.html).slice(0, 200)}`);
}

async function open(
  fetchPage: PageFetch,
  cookies: Map<string, string>,
  url: URL,
  body?: URLSearchParams,
): Promise<Page> {
  for (let hops = 0; hops < 10; hops++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetchPage(url, {
      redirect: 'manual',
      headers: { cookie, accept: 'text/html', ...(body === undefined ? {} : { origin: url.origin }) },
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    for (const line of answer.headers.getSetCookie()) keep(cookies, line);
    const html = await answer.text();
    const location = answer.headers.get('location');
    if (location === null) {
      if (answer.ok || firstForm({ url, html }) !== null) return { url, html };
      throw new BrowserError(
        'device-pages-failed',
        `${url.pathname}: HTTP ${answer.status}: ${textOf(html).slice(0, 200)}`,
      );
    }
    url = new URL(location, url);
    body = undefined;
  }
  throw new BrowserError('device-pages-failed', 'too many redirects');
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';');
  const name = pair.slice(0, pair.indexOf('=')).trim();
  const value = pair.slice(pair.indexOf('=') + 1);
  const expires = attributes
    .map((text) => /^\s*expires=(.*)$/i.exec(text)?.[1])
    .find((text) => text !== undefined);
  const gone = value === '' || (expires !== undefined && Date.parse(expires) < Date.now());
  if (gone) cookies.delete(name);
  else cookies.set(name, value);
}

interface Form {
  readonly action: URL;
  readonly fields: URLSearchParams;
  /** Names of the inputs that a person fills in. */
  readonly asks: readonly string[];
}

const refuses = /abort|cancel|deny|refuse|logout/i;

/** The first form that goes forward; null when the page asks nothing. */
function firstForm({ url, html }: Page): Form | null {
  for (const [, open = '', inner = ''] of html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)) {
    const inputs = [...inner.matchAll(/<input\b([^>]*)>/gi)].map(([, text = '']) => attributesOf(text));
    const buttons = [...inner.matchAll(/<button\b([^>]*)>/gi)].map(([, text = '']) => attributesOf(text));
    const fields = new URLSearchParams();
    for (const input of inputs)
      if (input['name'] !== undefined && input['type'] === 'hidden')
        fields.append(input['name'], input['value'] ?? '');
    const forward = buttons.filter((button) => !refuses.test(`${button['name']} ${button['value']}`));
    if (refuses.test(fields.toString()) || (buttons.length > 0 && forward.length === 0)) continue;
    if (forward[0]?.['name'] !== undefined) fields.append(forward[0]['name'], forward[0]['value'] ?? '');
    const shown = inputs.filter(
      (input) => !['hidden', 'submit', 'checkbox'].includes(input['type'] ?? 'text'),
    );
    const asks = shown.flatMap((input) => (input['name'] === undefined ? [] : [input['name']]));
    return { action: new URL(attributesOf(open)['action'] || url.href, url), fields, asks };
  }
  return null;
}

function fill(form: Form, answers: DeviceAnswers): URLSearchParams {
  const body = new URLSearchParams(form.fields);
  for (const name of form.asks) {
    if (/code/i.test(name)) body.set(name, answers.userCode);
    else if (/pass/i.test(name)) body.set(name, answers.password);
    else body.set(name, answers.email);
  }
  return body;
}

function attributesOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name = '', quoted, bare] of text.matchAll(/([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s"'>]+))/g))
    found[name.toLowerCase()] = decodeEntities(quoted ?? bare ?? '');
  return found;
}

const textOf = (html: string): string =>
  decodeEntities(html.replaceAll(/<(style|script|head)\b.*?<\/\1>/gis, ' ').replaceAll(/<[^>]*>/g, ' '))
    .replaceAll(/\s+/g, ' ')
    .trim();

const decodeEntities = (text: string): string =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&#x27;', "'")
    .replaceAll('&amp;', '&');
