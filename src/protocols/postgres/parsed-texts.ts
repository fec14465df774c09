/**
 * Facts of statements that clients prepare again and again, found by the text as it is. Drivers send the same few texts for
 * every execution, with parameters apart; to know one again costs a tenth of what it costs to take its shape.
 */
import { unknownFacts, type CommandFacts } from '../../model/command-facts.ts';

interface Known {
  readonly text: Uint8Array;
  readonly facts: CommandFacts;
}

/** One text in each place: whoever comes last stays. */
const places = 256;
/** Longer ones are not kept, which bounds the memory: 1 MiB. */
const longestText = 4096;

export class ParsedTexts {
  readonly #classify: (text: Uint8Array) => CommandFacts;
  readonly #known: (Known | undefined)[] = Array.from({ length: places });

  /** `classify` depends on nothing but the text, unless it says `unknownFacts`. */
  constructor(classify: (text: Uint8Array) => CommandFacts) {
    this.#classify = classify;
  }

  classify(text: Uint8Array): CommandFacts {
    const place = placeOf(text);
    const known = this.#known[place];
    if (known !== undefined && isEqual(known.text, text)) return known.facts;
    const facts = this.#classify(text);
    // What is unknown may be so only while the parser is made anew.
    if (text.length <= longestText && facts !== unknownFacts)
      this.#known[place] = { text: Uint8Array.from(text), facts };
    return facts;
  }
}

/** By its length and a few of its bytes: texts of one program begin alike. */
function placeOf(text: Uint8Array): number {
  const { length } = text;
  let hash = length;
  for (let eighth = 1; eighth <= 8; eighth++)
    hash = Math.imul(hash, 31) + text[((length * eighth) >> 3) - 1]!;
  return hash & (places - 1);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
