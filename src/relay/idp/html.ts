/** HTML by template literal: every value is escaped, except what is `Html` already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Attribute values must stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  let text = parts[0]!;
  for (const [i, value] of values.entries()) text += escape(value) + parts[i + 1]!;
  return new Html(text);
}

const escape = (value: string | Html): string =>
  value instanceof Html ? value.text : value.replace(/[&<>"']/g, (character) => escapes[character]!);
