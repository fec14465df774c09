/**
 * The grammar of Bash ([tree-sitter-bash](https://github.com/tree-sitter/tree-sitter-bash)), as a second reader of every
 * text: it knows what is no shell text at all, and where commands begin. It takes some texts apart wrongly (a line that
 * goes on inside a word, arguments after a redirection), so its tree is never believed alone: see `reader.ts`.
 */
import { Language, Parser, type Tree } from 'web-tree-sitter';

/** Bytes of the two modules, from whoever may read files. */
export interface GrammarModules {
  /** `web-tree-sitter.wasm`, which runs any grammar. */
  readonly runtime: Uint8Array;
  /** `tree-sitter-bash.wasm`. */
  readonly bash: Uint8Array;
}

/** Of a hundred steps each: an ordinary text of the greatest length takes a third of them. */
const mostSteps = 1000;

const beginnings = ['command_name', 'declaration_command', 'unset_command', 'test_command'];

export class ShellGrammar {
  readonly #parser: Parser;

  private constructor(parser: Parser) {
    this.#parser = parser;
  }

  static async load(modules: GrammarModules): Promise<ShellGrammar> {
    // The runtime is one of the process: whoever loads it again gets the same.
    await Parser.init({ wasmBinary: modules.runtime });
    const parser = new Parser();
    parser.setLanguage(await Language.load(modules.bash));
    return new ShellGrammar(parser);
  }

  /** Where commands begin, in order; null: it is no shell text, or takes too long. Never throws. */
  startsOf(text: string): readonly number[] | null {
    let tree: Tree | null = null;
    let steps = 0;
    try {
      tree = this.#parser.parse(text, null, { progressCallback: () => (steps += 1) > mostSteps });
      if (tree === null || tree.rootNode.hasError) return null;
      const found = tree.rootNode.descendantsOfType(beginnings);
      return found.map((node) => node!.startIndex).toSorted((a, b) => a - b);
    } catch {
      return null;
    } finally {
      this.#parser.reset();
      tree?.delete();
    }
  }
}
