/** docs/errors.md and the code say the same: a person who meets a code finds it, and no row is left from another time. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');

interface Declared {
  readonly code: string;
  /** Folder of the class below src/. */
  readonly module: string;
  readonly file: string;
}

const sources = new Map(
  readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => [file.split(path.sep).join('/'), readFileSync(path.join(root, 'src', file), 'utf8')]),
);

/** Codes of every subclass of HoopError: literals in its type argument, or in the union that it names in the same file. */
function declared(): Declared[] {
  return [...sources].flatMap(([file, text]) => {
    const code = text.replace(/\/\*[^]*?\*\//g, '').replace(/\/\/.*$/gm, '');
    return [...code.matchAll(/class (\w+) extends HoopError<([^]*?)>\s*\{/g)].flatMap((match) => {
      const named = match[2]!.trim();
      if (named === 'string') return []; // carries codes of the relay's answers, declared there
      const alias = new RegExp(`type ${named.replace(/\W/g, '')}\\s*=([^;]*);`).exec(code);
      const union = named.includes("'") ? named : (alias?.[1] ?? '');
      const codes = [...union.matchAll(/'([^']+)'/g)].map(([, literal]) => literal!);
      assert.ok(codes.length > 0, `${file}: ${match[1]} has no literal codes`);
      return codes.map((each) => ({ code: each, module: path.posix.dirname(file), file }));
    });
  });
}

interface Row {
  readonly code: string;
  readonly module: string;
  readonly cells: readonly string[];
}

function documented(): Row[] {
  const text = readFileSync(path.join(root, 'docs/errors.md'), 'utf8');
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const code = /^`([^`]+)`$/.exec(cells[1] ?? '')?.[1];
    return code === undefined ? [] : [{ code, module: cells[2] ?? '', cells: cells.slice(1, -1) }];
  });
}

/** Codes that no class has: the CLI's own words for other failures, and the HTTP server's. */
const withoutClass = new Set(['usage', 'unexpected', 'not-found', 'internal']);

test('every code is in docs/errors.md, under its module, and nothing else is', () => {
  const inCode = declared().map(({ code, module }) => `${code} (${module})`);
  const inDocs = documented()
    .filter(({ code }) => !withoutClass.has(code))
    .map(({ code, module }) => `${code} (${module})`);
  assert.deepEqual(inDocs.toSorted(), inCode.toSorted());
});

test('a code is kebab-case and means one thing in the whole program', () => {
  const seen = new Map<string, string>();
  for (const { code, file } of declared()) {
    assert.match(code, /^[a-z][a-z0-9]*(-[a-z0-9]+)+$/, `${code} in ${file}`);
    assert.equal(seen.get(code), undefined, `${code} in ${file} and ${seen.get(code)}`);
    seen.set(code, file);
  }
});

test('a row says what happened and what to do', () => {
  for (const { code, cells } of documented()) {
    assert.equal(cells.length, 4, code);
    for (const cell of cells) assert.notEqual(cell, '', `${code} has an empty cell`);
  }
});

test('a code that is declared is used', () => {
  const unused = declared().filter(({ code }) => {
    const uses = [...sources.values()].reduce((sum, text) => sum + text.split(`'${code}'`).length - 1, 0);
    return uses < 2;
  });
  assert.deepEqual(
    unused.map(({ code, file }) => `${code} (${file})`),
    [],
  );
});
