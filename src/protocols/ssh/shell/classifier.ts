/**
 * Shell text → what it does (`model/command-facts.ts`): what an exec request of SSH carries, or a line of an interactive
 * shell.
 *
 * Two readers take it apart, a strict one of our own (`reader.ts`) and the grammar of Bash (`grammar.ts`); where they do
 * not agree on where commands begin, it is `unknown`. Each program is looked up in `programs/`; one that is not there is
 * `code`. The shell of the account is not known: what dash, zsh, fish or csh would run and bash would not is `code`, in so
 * far as it stands in the text (`dialects.ts`). What it does not see: aliases, functions and variables of the account.
 *
 * Deliberately not here: what to do about it (policy). The invariant: what cannot be read or seen through is `unknown` or
 * `code`; nothing here throws, and no text takes more than its bounds.
 */
import { unknownFacts, type CommandFacts } from '../../../model/command-facts.ts';
import { readableText } from './dialects.ts';
import { Evaluation, longestText } from './evaluation.ts';
import { FactsBuilder, FactsTable } from './facts.ts';
import { ShellGrammar, type GrammarModules } from './grammar.ts';

/** Bytes of UTF-8 are at most three for a unit of UTF-16. */
const longestBytes = longestText * 3;
/** Longer texts are read anew each time. */
const longestKept = 2048;
const mostKept = 2048;

const ordinary = `x=$(id -u) && { ls "$x" 2>&1 | grep -v 'a b' > /tmp/x; }; for i in 1; do [ -f a ] || sudo ls \`id\`; done`;

export class ShellClassifier {
  readonly #grammar: ShellGrammar;
  readonly #table = new FactsTable();
  readonly #known = { terminal: new Map<string, CommandFacts>(), pipe: new Map<string, CommandFacts>() };

  private constructor(grammar: ShellGrammar) {
    this.#grammar = grammar;
  }

  /** Ready for synchronous use. Takes 0.2 s and is made once a process. The bytes are whole WebAssembly modules. */
  static async load(modules: GrammarModules): Promise<ShellClassifier> {
    const classifier = new ShellClassifier(await ShellGrammar.load(modules));
    // The modules are compiled when they are first used: not while somebody waits for a command.
    classifier.classify(Buffer.from(ordinary));
    return classifier;
  }

  /**
   * Facts of a whole text. `text` is hostile, in any encoding, and only read. `output`: whether what it prints may be on
   * a terminal, where pagers (of systemctl, journalctl, man …) run commands by a key; who does not know says so.
   */
  classify(text: Uint8Array, output: 'terminal' | 'pipe' = 'terminal'): CommandFacts {
    if (text.length > longestBytes) return unknownFacts;
    const readable = readableText(text);
    if (readable === null) return unknownFacts;
    const kept = this.#known[output];
    let facts = kept.get(readable);
    if (facts !== undefined) return facts;
    facts = this.#read(readable, output);
    if (readable.length > longestKept) return facts;
    if (kept.size >= mostKept)
      for (const oldest of kept.keys()) {
        kept.delete(oldest);
        break;
      }
    kept.set(readable, facts);
    return facts;
  }

  #read(text: string, output: 'terminal' | 'pipe'): CommandFacts {
    const builder = new FactsBuilder();
    try {
      new Evaluation(this.#grammar, builder, output === 'terminal').run(text);
    } catch {
      return unknownFacts;
    }
    return this.#table.intern(builder);
  }
}
