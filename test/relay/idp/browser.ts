/** A browser as far as the sign-in pages need one: cookies with their paths, redirects, forms. It runs no script. */
import assert from 'node:assert/strict';

export interface Field {
  readonly name: string;
  readonly value: string;
  readonly type: string;
}

export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

export class Browser {
  readonly cookies = new Map<string, Cookie>();
  readonly headers: Record<string, string>;
  /** Where it does not go when it is sent on; that answer is the page then. */
  stopsBefore: (url: URL) => boolean = () => false;

  constructor(headers: Record<string, string> = {}) {
    this.headers = { accept: 'text/html', ...headers };
  }

  async open(
    target: string | URL,
    body?: URLSearchParams,
    extra: Record<string, string> = {},
  ): Promise<Page> {
    let url = new URL(target);
    let init: RequestInit = body === undefined ? {} : { method: 'POST', body };
    for (let hops = 0; hops < 10; hops++) {
      const cookie = this.#cookiesFor(url.pathname);
      const headers = { ...this.headers, ...extra, ...(cookie === '' ? {} : { cookie }) };
      const answer = await fetch(url, { ...init, redirect: 'manual', headers });
      for (const line of answer.headers.getSetCookie()) this.#keep(line, url);
      const location = answer.headers.get('location');
      const html = await answer.text();
      const next = location === null ? null : new URL(location, url);
      if (next === null || this.stopsBefore(next))
        return { url, status: answer.status, headers: answer.headers, html };
      url = next;
      init = {};
    }
    throw new Error('too many redirects');
  }

  /** Sends the page's form, with these values in it; `button` is the value pair of the button that is pressed. */
  submit(page: Page, values: Record<string, string>, extra: Record<string, string> = {}): Promise<Page> {
    const { action, fields } = formOf(page);
    const body = new URLSearchParams();
    for (const { name, value } of fields) body.set(name, value);
    for (const [name, value] of Object.entries(values)) body.set(name, value);
    return this.open(action, body, extra);
  }

  #cookiesFor(path: string): string {
    return [...this.cookies.values()]
      .filter((cookie) => path === cookie.path || path.startsWith(cookie.path.replace(/\/?$/, '/')))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  #keep(line: string, url: URL): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const attribute = (wanted: string) =>
      attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    const path = attribute('path') ?? url.pathname;
    const expires = attribute('expires');
    if (expires !== undefined && Date.parse(expires) < Date.now()) this.cookies.delete(`${name} ${path}`);
    else this.cookies.set(`${name} ${path}`, { name, value, path });
  }
}

export function formOf(page: Page): { action: URL; fields: Field[] } {
  const form = /<form method="post" action="([^"]+)">(.*?)<\/form>/s.exec(page.html);
  assert.ok(form, `no form on ${page.url}: ${page.html}`);
  const fields = [...form[2]!.matchAll(/<input\s([^>]*)>/gs)].map(([, text = '']) => ({
    name: attributeOf(text, 'name'),
    value: attributeOf(text, 'value'),
    type: attributeOf(text, 'type'),
  }));
  return { action: new URL(form[1]!, page.url), fields };
}

const attributeOf = (text: string, name: string): string =>
  (new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(text)?.[1] ?? '')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
