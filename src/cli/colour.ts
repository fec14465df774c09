/** Colour for people: off when the stream is no terminal, or when NO_COLOR (https://no-color.org) says so. */
import { Chalk, supportsColor, supportsColorStderr } from 'chalk';
import type { ChalkInstance, ColorInfo } from 'chalk';

const quiet = (process.env.NO_COLOR ?? '') !== '';
const palette = (support: ColorInfo): ChalkInstance =>
  new Chalk({ level: quiet || support === false ? 0 : support.level });

/** For what goes to stdout. */
export const colour = palette(supportsColor);
/** For what goes to stderr. */
export const colourStderr = palette(supportsColorStderr);

/**
 * Text from outside (a relay, a policy, another person) made safe to print: no control character, no invisible
 * mark and no change of writing direction reaches the terminal, so nobody can hide or fake a line with it.
 */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}
