/**
 * `npm start`: from a fresh clone to the tour. Installs when needed, builds, and runs `hoop demo` on the Node.js that
 * this package pins. The only file that must run on older ones (18 and up), so it uses nothing newer.
 */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Installed, and not older than the lock file. */
function isInstalled() {
  const installed = path.join(root, 'node_modules/.package-lock.json');
  const wanted = path.join(root, 'package-lock.json');
  return (
    existsSync(installed) && (!existsSync(wanted) || statSync(installed).mtimeMs >= statSync(wanted).mtimeMs)
  );
}

/** The pinned Node.js; our own where its install script was not allowed to run and ours is new enough. */
function pinnedNode() {
  const pinned = path.join(root, 'node_modules/node/bin/node');
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  console.error(`hoop needs Node.js 24 or newer; this is ${process.versions.node}`);
  return process.exit(2);
}

const keep = () => {};

/** Runs a program in our terminal; Ctrl-C reaches it by itself, and it decides when it is over. */
function run(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: 'inherit' });
    const pass = (signal) => child.kill(signal);
    process.on('SIGTERM', pass).on('SIGHUP', pass).on('SIGINT', keep);
    child.once('error', (error) => {
      console.error(`${file}: ${error.message}`);
      resolve(1);
    });
    child.once('close', (code, signal) => {
      process.off('SIGTERM', pass).off('SIGHUP', pass).off('SIGINT', keep);
      resolve(code === null ? 128 + (signal === 'SIGINT' ? 2 : 15) : code);
    });
  });
}

async function must(file, args) {
  const code = await run(file, args);
  if (code !== 0) process.exit(code);
}

if (!isInstalled()) {
  const npm = process.env.npm_execpath;
  console.error('installing (npm ci) …');
  if (npm === undefined) await must('npm', ['ci', '--loglevel=error']);
  else await must(process.execPath, [npm, 'ci', '--loglevel=error']);
}
const node = pinnedNode();
await must(node, [path.join(root, 'bin/build.js')]);
process.exitCode = await run(node, [path.join(root, 'bin/run.js'), 'demo', ...process.argv.slice(2)]);
