/**
 * The CLI's contract: commands, arguments, flags and exit codes that scripts rely on, in contract.json. A change is
 * made on purpose: HOOP_UPDATE_CONTRACT=1 node --test test/cli/contract.test.ts writes the file anew.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { hoop } from '../support/relay.ts';

const root = path.resolve(import.meta.dirname, '../..');
const goldenFile = path.join(import.meta.dirname, 'contract.json');

interface Option {
  readonly name: string;
  readonly description?: string;
  readonly type?: string;
  readonly char?: string;
  readonly env?: string;
  readonly required?: boolean;
  readonly multiple?: boolean;
  readonly allowNo?: boolean;
  readonly options?: readonly string[];
}
interface ManifestCommand {
  readonly summary?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly hidden?: boolean;
  readonly args: Readonly<Record<string, Option>>;
  readonly flags: Readonly<Record<string, Option>>;
}

/** Written by the build, from the commands themselves. */
const manifest = JSON.parse(readFileSync(path.join(root, 'oclif.manifest.json'), 'utf8')) as {
  commands: Readonly<Record<string, ManifestCommand>>;
};
const commands = Object.entries(manifest.commands).map(
  ([id, command]) => [id.replaceAll(':', ' '), command] as const,
);

/** `--reason=`, `--[no-]browser`, `--format=csv|json`, `--group=…`, with `$HOOP_TASK` behind where one counts. */
function formatFlag({ name, type, env, required, multiple, allowNo, options, char }: Option): string {
  const value = type === 'boolean' ? '' : `=${options?.join('|') ?? ''}${multiple === true ? '…' : ''}`;
  const parts = [`--${allowNo === true ? '[no-]' : ''}${name}${value}`];
  if (char !== undefined) parts.push(`-${char}`);
  if (env !== undefined) parts.push(`$${env}`);
  if (required === true) parts.push('required');
  return parts.join(' ');
}

const byName = (a: string, b: string) => (a < b ? -1 : 1);

test('commands, flags and exit codes are those of contract.json', () => {
  const contract = {
    exitCodes,
    commands: Object.fromEntries(
      commands
        .toSorted(([a], [b]) => byName(a, b))
        .map(([id, { args, flags, hidden }]) => [
          id,
          {
            ...(hidden === true && { hidden }),
            args: Object.values(args).map(({ name, required }) => (required === true ? name : `[${name}]`)),
            flags: Object.values(flags).map(formatFlag).toSorted(byName),
          },
        ]),
    ),
  };
  if ((process.env['HOOP_UPDATE_CONTRACT'] ?? '') !== '')
    writeFileSync(goldenFile, `${JSON.stringify(contract, null, 2)}\n`);
  assert.deepEqual(contract, JSON.parse(readFileSync(goldenFile, 'utf8')));
});

test('every command takes --json, says what it does in a lower-case fragment, and shows an example', () => {
  for (const [id, { summary, description, examples = [], flags }] of commands) {
    const what = summary ?? description ?? '';
    assert.ok(flags['json'] !== undefined, `${id} has no --json`);
    assert.match(what, /^[a-z0-9].*[^.]$/, `${id}: ${what}`);
    assert.ok(examples.length > 0, `${id} has no example`);
    for (const { name, description: text = '' } of Object.values(flags)) {
      assert.match(text, /^[a-z0-9].*[^.]$/i, `${id} --${name}: ${text}`);
      assert.doesNotMatch(text, /^[A-Z][a-z]/, `${id} --${name}: ${text}`);
    }
  }
});

const env = { PATH: process.env['PATH'], HOME: '/nonexistent', HOOP_KEYCHAIN: 'file' };

test('a mistyped command: exit 2 and what was meant; with --json one document', async () => {
  const text = await hoop(['sesions', 'lst'], { env });
  assert.deepEqual([text.code, text.stdout], [2, '']);
  assert.match(text.stderr, /did you mean: hoop sessions list/);
  const json = await hoop(['logn', '--json'], { env });
  assert.equal(json.code, 2);
  assert.deepEqual(JSON.parse(json.stdout).error, {
    code: 'command-unknown',
    message: 'there is no command "logn"',
    hint: 'did you mean: hoop login',
  });
});

test('a mistyped flag: exit 2; with --json one document, and none of oclif’s inner parts', async () => {
  const text = await hoop(['targets', '--relat', 'x'], { env });
  assert.deepEqual([text.code, text.stdout], [2, '']);
  const json = await hoop(['targets', '--relat', 'x', '--json'], { env });
  assert.equal(json.code, 2);
  assert.deepEqual(Object.keys(JSON.parse(json.stdout)), ['error']);
  assert.deepEqual(Object.keys(JSON.parse(json.stdout).error), ['code', 'message', 'hint']);
});

test('--json after -- belongs to the client', async () => {
  const answer = await hoop(['connect', 'db', '--relay', 'ftp://x', '--', 'psql', '--json'], { env });
  assert.deepEqual([answer.code, answer.stdout], [2, '']);
  assert.match(answer.stderr, /relay-address-invalid/);
});

test('--version and --help answer at once, and need no home', async () => {
  assert.match((await hoop(['--version'], { env })).stdout, /^hoop\/\d+\.\d+\.\d+ /);
  const help = await hoop(['connect', '--help'], { env });
  assert.equal(help.code, 0);
  assert.match(help.stdout, /\$ hoop connect TARGET/);
});

test('hoop help is --help, of one command too', async () => {
  for (const args of [['help'], ['help', 'audit', 'show']]) {
    const asCommand = await hoop(args, { env });
    const asFlag = await hoop([...args.slice(1), '--help'], { env });
    assert.deepEqual(asCommand, asFlag);
    assert.deepEqual([asCommand.code, asCommand.stderr], [0, '']);
  }
});

test('evidence that is not there is wrong usage, not a fault of hoop', async () => {
  for (const args of [
    ['verify', '/nonexistent/evidence'],
    ['sessions', '--dir', '/nonexistent/evidence'],
    ['verify', path.join(root, 'package.json')],
    ['verify', root, '--vkey-file', '/nonexistent/vkey'],
  ]) {
    const { code, stdout, stderr } = await hoop(['audit', ...args], { env });
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, /\(evidence-unreadable\)/);
  }
});

test('an export cannot be CSV and one JSON document at once', async () => {
  const { code, stdout } = await hoop(['audit', 'export', '--format', 'csv', '--json'], { env });
  assert.equal(code, 2);
  assert.equal(JSON.parse(stdout).error.code, 'usage');
});

test(
  'a full disk behind stdout is told without a stack',
  { skip: existsSync('/dev/full') ? false : 'this system has no /dev/full' },
  () => {
    const full = openSync('/dev/full', 'w');
    try {
      const { status, stderr } = spawnSync(
        process.execPath,
        [path.join(root, 'bin/run.js'), 'status', '--json'],
        {
          env: { ...env, XDG_RUNTIME_DIR: path.join(tmpdir(), 'hoop-none') },
          stdio: ['ignore', full, 'pipe'],
          encoding: 'utf8',
        },
      );
      assert.equal(status, exitCodes.bug);
      assert.doesNotMatch(stderr, /^ +at /m);
      assert.match(stderr, /^hoop: the result cannot be written\n.*ENOSPC \(output-failed\)\n$/m);
    } finally {
      closeSync(full);
    }
  },
);
