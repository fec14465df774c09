#!/usr/bin/env node
import module from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [major] = process.versions.node.split('.');
if (Number(major) < 24) {
  console.error(`hoop needs Node.js 24 or newer; this is ${process.versions.node}`);
  process.exit(2);
}
// Never the default place, the machine's shared temporary directory: compiled code is run as it is found.
const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
if (path.isAbsolute(cache)) module.enableCompileCache(path.join(cache, 'hoop', 'compile'));
const { main } = await import('../dist/cli/main.js');
await main(process.argv.slice(2), import.meta.url);
