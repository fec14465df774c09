/**
 * What a shell says about its prompt by itself: OSC 133 (FinalTerm, https://gitlab.freedesktop.org/Per_Bothner/specifications/-/blob/master/proposals/semantic-prompts.md)
 * and OSC 633 (Visual Studio Code, https://code.visualstudio.com/docs/terminal/shell-integration). They come from the
 * target and are believed as far as the screen is: whoever owns the shell can write them.
 */

export type Mark =
  | { readonly kind: 'prompt-end' }
  /** The shell starts a command. `text`: its line, when the shell says it. */
  | { readonly kind: 'started'; readonly text: string | null }
  | { readonly kind: 'finished'; readonly exitCode: number | null }
  /** The line that will be started (OSC 633;E). */
  | { readonly kind: 'line'; readonly text: string };

const lineLimit = 65_536;

/** @returns null for marks that say nothing we use, and for everything malformed. */
export function parseMark(code: 133 | 633, data: string): Mark | null {
  const [letter = '', ...fields] = data.split(';', 64);
  switch (letter) {
    case 'B':
      return { kind: 'prompt-end' };
    case 'C':
      return { kind: 'started', text: code === 133 ? startedLine(fields) : null };
    case 'D':
      return { kind: 'finished', exitCode: exitCode(fields[0] ?? '') };
    case 'E':
      return code === 633 && data.length <= lineLimit
        ? { kind: 'line', text: unescaped(fields[0] ?? '') }
        : null;
    default:
      return null;
  }
}

function exitCode(text: string): number | null {
  return /^\d{1,3}$/.test(text) ? Number(text) : null;
}

/** fish and kitty: `C;cmdline_url=…`, percent-encoded. */
function startedLine(fields: readonly string[]): string | null {
  const field = fields.find((field) => field.startsWith('cmdline_url='));
  if (field === undefined || field.length > lineLimit) return null;
  try {
    return decodeURIComponent(field.slice('cmdline_url='.length));
  } catch {
    return null;
  }
}

/** `\\` is a backslash, `\xHH` a byte of the set that would end the sequence or the field. */
function unescaped(text: string): string {
  return text.replace(/\\(?:\\|x([\dA-Fa-f]{2}))/g, (_, hex: string | undefined) =>
    hex === undefined ? '\\' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
