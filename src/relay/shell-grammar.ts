/** The files of the shell grammar, out of the packages that bring them. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ShellClassifier } from '../protocols/ssh/shell/classifier.ts';

const moduleOf = (name: string): Promise<Uint8Array> => readFile(fileURLToPath(import.meta.resolve(name)));

/** @throws when a package is not installed whole */
export async function openShellClassifier(): Promise<ShellClassifier> {
  const [runtime, bash] = await Promise.all([
    moduleOf('web-tree-sitter/web-tree-sitter.wasm'),
    moduleOf('tree-sitter-bash/tree-sitter-bash.wasm'),
  ]);
  return ShellClassifier.load({ runtime, bash });
}
