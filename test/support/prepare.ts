/**
 * Before the tests: installs the foreign programs that are missing, where that is possible (root on a system with
 * apt-get), and says what is not shown without those that are not. Never fails: each test that needs one skips itself.
 */
import { spawnSync } from 'node:child_process';
import { findProgram, missing, programs, type ProgramName } from './programs.ts';

// RUNLEVEL: what is installed here is run by the tests, not by the machine; no service is to be started.
const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
const names = Object.keys(programs).filter((name): name is ProgramName => name in programs);
const wanted = names.filter((name) => missing(name) !== false);

const packages = (name: ProgramName): string[] => [...programs[name].packages];

function apt(...options: string[]): boolean {
  const { status, stderr, error } = spawnSync('apt-get', ['-qq', ...options], { env, encoding: 'utf8' });
  if (status !== 0) console.error(`apt-get ${options[0]}: ${error?.message ?? stderr.trim()}`);
  return status === 0;
}

if (wanted.length > 0 && process.getuid?.() === 0 && findProgram('apt-get') !== null) {
  const install = ['install', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold'];
  console.error(`installing what the tests use: ${wanted.flatMap(packages).join(' ')}`);
  apt('update');
  // All at once is fastest; one by one when one of them cannot be had.
  if (!apt(...install, ...wanted.flatMap(packages)))
    for (const name of wanted) apt(...install, ...packages(name));
}

for (const name of wanted) {
  const reason = missing(name);
  if (reason !== false) console.error(`not tested: ${programs[name].purpose}: ${reason}`);
}
