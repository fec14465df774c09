#!/usr/bin/env node
import module from 'node:module';
import v8 from 'node:v8';
import os from 'node:os';
import path from 'node:path';

const [major] = process.versions.node.split('.');
if (Number(major) < 24) {
  console.error(`hoop needs Node.js 24 or newer; this is ${process.versions.node}`);
  process.exit(2);
}
// Buffers count towards the whole heap's limit; else each 64 MB that a relay carries would cost a full collection.
v8.setFlagsFromString('--external-memory-accounted-in-global-limit');
// WebAssembly stays as it is first compiled: optimizing PostgreSQL's parser would take 500 MB for a moment, and gain nothing.
for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'])
  v8.setFlagsFromString(flag);
// Never the default place, the machine's shared temporary directory: compiled code is run as it is found.
const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
if (path.isAbsolute(cache)) module.enableCompileCache(path.join(cache, 'hoop', 'compile'));
const { main } = await import('../dist/cli/main.js');
await main(process.argv.slice(2), import.meta.url);
