/**
 * A browser for sign-ins that cross sites: cookies by host and path (not by port, as in real ones) with `SameSite=Lax`,
 * redirects, the `Refresh` header, links, forms. It runs no script.
 */
import assert from 'node:assert/strict';

export interface WebPage {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
}

interface Cookie {
  readonly host: string;
  readonly path: string;
  readonly name: string;
  readonly value: string;
  /** Neither Lax nor Strict: goes along with another site's POST. */
  readonly anywhere: boolean;
}

/** Every address that a page was asked at, in order: what a log of a proxy would show. */
export class WebBrowser {
  readonly visited: URL[] = [];
  readonly #cookies = new Map<string, Cookie>();
  /** Where to stop instead of going there; for whoever wants to change what is asked. */
  readonly stopAt: ((url: URL) => boolean) | null;

  constructor(stopAt: ((url: URL) => boolean) | null = null) {
    this.stopAt = stopAt;
  }

  async open(target: string | URL, form?: URLSearchParams, from?: URL): Promise<WebPage> {
    let url = new URL(target);
    let body = form;
    let origin = from;
    for (let hops = 0; hops < 30; hops++) {
      if (hops > 0 && this.stopAt?.(url)) return { url, status: 0, headers: new Headers(), html: '' };
      this.visited.push(url);
      const crossPost = body !== undefined && origin !== undefined && origin.hostname !== url.hostname;
      const answer = await fetch(url, {
        redirect: 'manual',
        headers: { accept: 'text/html', cookie: this.#cookieHeader(url, crossPost) },
        ...(body === undefined ? {} : { method: 'POST', body }),
      });
      for (const line of answer.headers.getSetCookie()) this.#keep(line, url);
      const html = await answer.text();
      const refresh = /^0; url=(.*)$/.exec(answer.headers.get('refresh') ?? '')?.[1];
      const location = answer.headers.get('location') ?? refresh ?? null;
      if (location === null) return { url, status: answer.status, headers: answer.headers, html };
      origin = url;
      url = new URL(location, url);
      body = undefined;
    }
    throw new Error('too many redirects');
  }

  /** Sends the page's form, the first that has all these fields, with these values in it. */
  submit(page: WebPage, values: Record<string, string> = {}): Promise<WebPage> {
    for (const [, open = '', inner = ''] of page.html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)) {
      const inputs = [...inner.matchAll(/<(?:input|button)\b([^>]*)>/gis)].map(([, text = '']) => text);
      const names = new Set(inputs.map((text) => attributeOf(text, 'name')));
      if (!Object.keys(values).every((name) => names.has(name))) continue;
      const body = new URLSearchParams();
      for (const text of inputs)
        if (/hidden/i.test(attributeOf(text, 'type')))
          body.set(attributeOf(text, 'name'), attributeOf(text, 'value'));
      for (const [name, value] of Object.entries(values)) body.set(name, value);
      return this.open(new URL(attributeOf(open, 'action') || page.url, page.url), body, page.url);
    }
    return assert.fail(`no such form at ${page.url}: ${page.html}`);
  }

  #cookieHeader({ hostname, pathname }: URL, crossPost: boolean): string {
    return [...this.#cookies.values()]
      .filter(({ host, anywhere }) => host === hostname && (anywhere || !crossPost))
      .filter(({ path }) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/')))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  #keep(line: string, { hostname, pathname }: URL): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const attribute = (wanted: string) =>
      attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    const path = attribute('path') ?? pathname.replace(/\/[^/]*$/, '/');
    const expires = attribute('expires');
    const key = `${hostname} ${path} ${name}`;
    if (value === '' || (expires !== undefined && Date.parse(expires) < Date.now()))
      this.#cookies.delete(key);
    else {
      const anywhere = attribute('samesite')?.toLowerCase() === 'none';
      this.#cookies.set(key, { host: hostname, path, name, value, anywhere });
    }
  }
}

const attributeOf = (text: string, name: string): string =>
  (new RegExp(`(?:^|\\s)${name}\\s*=\\s*["']([^"']*)["']`, 'i').exec(text)?.[1] ?? '')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
