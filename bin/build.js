/**
 * Builds `dist/` from `src/`: esbuild bundles (one entry per command, shared chunks), assets, the declarations of the
 * package's library export, and `oclif.manifest.json`. Plain JavaScript: it runs before anything is built.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync, globSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const source = path.join(root, 'src');
const out = path.join(root, 'dist');
const typesEntry = 'src/evidence/verify/index.ts';

const files = readdirSync(source, { recursive: true, encoding: 'utf8', withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(source, path.join(entry.parentPath, entry.name)));

/** What is run or imported by name at run time: commands, the library export, the CLI's own start, workers. */
const isEntry = (file) =>
  /^commands\/.*\.ts$/.test(file) ||
  file === 'evidence/verify/index.ts' ||
  file === 'cli/main.ts' ||
  /(^|[-/])worker\.ts$/.test(file);

/**
 * Packages of many small modules that nearly every command loads: in one file they start a fifth faster. All others
 * are imported from node_modules as they were published.
 */
const inlined = /^(zod|undici|jose|openid-client|oauth4webapi)(\/|$)/;

const packages = {
  name: 'packages',
  setup(plugin) {
    plugin.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
      kind === 'entry-point' || inlined.test(name) ? undefined : { path: name, external: true },
    );
  },
};

const builtin = (name) => `process.getBuiltinModule('node:${name}')`;

/**
 * Bundling moves modules, so a file that names its neighbours through `import.meta` (an asset, a worker) is told where
 * it would be: `dist/` mirrors `src/`.
 */
const placeOfModules = {
  name: 'place-of-modules',
  setup(plugin) {
    plugin.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path: file }) => {
      const text = await readFile(file, 'utf8');
      if (!/import\.meta\.(url|dirname)/.test(text)) return undefined;
      const place = path.relative(source, file).replace(/\.ts$/, '.js');
      const url = `(import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/')) + '/dist/${place}')`;
      const contents = text
        .replaceAll('import.meta.url', url)
        .replaceAll(
          'import.meta.dirname',
          `${builtin('path')}.dirname(${builtin('url')}.fileURLToPath(${url}))`,
        )
        .replaceAll(/worker\.ts'/g, "worker.js'");
      return { contents, loader: 'ts' };
    });
  },
};

/** Every file at once or not at all, chunks before what imports them: a `hoop` that starts meanwhile sees no half. */
async function replaceFile(file, contents) {
  const before = await readFile(file).catch(() => null);
  if (before !== null && before.equals(Buffer.from(contents))) return;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, contents);
  await rename(`${file}.${process.pid}`, file);
}

async function bundle() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: files.filter(isEntry).map((file) => path.join(source, file)),
    outbase: source,
    outdir: out,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Inlined CommonJS modules ask for Node's own ones by require.
    banner: {
      js: "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url);",
    },
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [packages, placeOfModules],
    write: false,
  });
  const isChunk = ({ path: file }) => file.startsWith(path.join(out, 'chunks'));
  for (const chunks of [true, false])
    for (const file of outputFiles.filter((output) => isChunk(output) === chunks))
      await replaceFile(file.path, file.contents);
  return new Set(outputFiles.map((file) => file.path));
}

/** A command without source goes at once; an old chunk after an hour, as a running process may still import it. */
async function removeStale(written) {
  for (const file of globSync('{chunks,commands}/**/*.{js,map}', { cwd: out })) {
    const full = path.join(out, file);
    if (written.has(full)) continue;
    const { mtimeMs } = await stat(full);
    if (file.startsWith('commands') || Date.now() - mtimeMs > 3_600_000) await rm(full, { force: true });
  }
}

async function copyAssets() {
  for (const file of files.filter((name) => !/\.(ts|md)$/.test(name)))
    await replaceFile(path.join(out, file), await readFile(path.join(source, file)));
}

/** Declarations only when something that they are made of changed: they are the slowest part. */
async function declareTypes() {
  if (!existsSync(path.join(root, typesEntry))) return;
  const config = {
    extends: path.join(root, 'tsconfig.json'),
    files: [path.join(root, typesEntry)],
    include: [],
  };
  const cache = path.join(root, 'node_modules/.cache/hoop');
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    incremental: true,
    noCheck: true,
    tsBuildInfoFile: path.join(out, 'types/.tsbuildinfo'),
    rootDir: source,
    outDir: path.join(out, 'types'),
    typeRoots: [path.join(root, 'node_modules/@types')],
  };
  const project = path.join(cache, 'tsconfig.json');
  await mkdir(path.dirname(project), { recursive: true });
  await writeFile(project, JSON.stringify({ ...config, compilerOptions }));
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', project]).catch((error) => {
    throw new Error(`declarations: ${error.stdout}`);
  });
}

/** By oclif's own reader of commands. */
async function writeManifest() {
  const { Plugin } = await import('@oclif/core');
  const plugin = new Plugin({
    root,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  });
  await plugin.load();
  // oclif lists commands as the file system does; the file is committed, so its order must not depend on that.
  const commands = Object.entries(plugin.manifest.commands).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = `${JSON.stringify({ ...plugin.manifest, commands: Object.fromEntries(commands) }, null, 2)}\n`;
  await replaceFile(path.join(root, 'oclif.manifest.json'), text);
}

try {
  await Promise.all([bundle().then(removeStale), copyAssets(), declareTypes()]);
  await writeManifest();
} catch (error) {
  // esbuild has said already what is wrong, with the place.
  if (!('errors' in error)) console.error(error.message);
  process.exit(1);
}
