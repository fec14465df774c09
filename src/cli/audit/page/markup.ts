/** HTML in which text stays text: whatever is put into `html` is escaped, unless it is markup already. */
import { visible } from '../../colour.ts';

export class Markup {
  readonly text: string;

  /** @param text is markup: nothing of others but escaped */
  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

type Content = Markup | string | number | null | readonly Content[];

/** Null is nothing; lists are joined. For content of elements and for attributes in double quotes. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(parts.map((part, at) => (at === 0 ? part : escaped(contents[at - 1]!) + part)).join(''));
}

function escaped(content: Content): string {
  if (content === null) return '';
  if (content instanceof Markup) return content.text;
  if (typeof content === 'object') return content.map(escaped).join('');
  return visible(String(content)).replaceAll(/[&<>"']/g, (character) => entities[character]!);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
