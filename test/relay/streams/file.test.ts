/** The file destination against real files: what is not its own, what a kill left, and a disk without room. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileDestination } from '../../../src/relay/streams/file.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-file-destination-'));
const at = (name: string): string => path.join(directory, name);
const disk = at('disk');

/** A quarter of a MiB, of which a batch does not fit twice. */
function mount(): string | false {
  if (process.getuid?.() !== 0) return 'only root can mount a small file system';
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'pipe' });
    return false;
  } catch (error) {
    return `no tmpfs can be mounted: ${String(error)}`;
  }
}

const noDisk = mount();
after(() => {
  if (noDisk === false) execFileSync('umount', ['-l', disk]);
  rmSync(directory, { recursive: true, force: true });
});

test('a new file is its user’s alone, and grows by whole lines', async () => {
  const file = at('new');
  const destination = new FileDestination(file);
  await destination.send(['one', 'two']);
  await destination.send(['three']);
  assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\nthree\n');
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('a last line that a kill tore stays by itself: what comes again begins a line', async () => {
  const file = at('torn');
  writeFileSync(file, 'one\n{"tw', { mode: 0o600 });
  await new FileDestination(file).send(['{"two":2}']);
  assert.equal(readFileSync(file, 'utf8'), 'one\n{"tw\n{"two":2}\n');
});

test('a file that others may read is refused, and gets nothing', async () => {
  for (const mode of [0o644, 0o640, 0o602]) {
    const file = at(`mode-${mode.toString(8)}`);
    writeFileSync(file, '');
    chmodSync(file, mode);
    await assert.rejects(new FileDestination(file).send(['secret']), { code: 'stream-not-taken' });
    assert.equal(readFileSync(file, 'utf8'), '', file);
  }
});

test('a FIFO, a directory and a link are refused at once', { timeout: 10_000 }, async () => {
  execFileSync('mkfifo', ['-m', '600', at('fifo')]);
  await assert.rejects(new FileDestination(at('fifo')).send(['one']), { code: 'stream-not-taken' });
  mkdirSync(at('directory'), { mode: 0o700 });
  await assert.rejects(new FileDestination(at('directory')).send(['one']), { code: 'stream-unreachable' });
  symlinkSync(at('elsewhere'), at('link'));
  await assert.rejects(new FileDestination(at('link')).send(['one']), { code: 'stream-unreachable' });
  assert.ok(!existsSync(at('elsewhere')));
});

const lines = (letter: string): string[] => Array.from({ length: 180 }, () => letter.repeat(1000));
const text = (letter: string): string => lines(letter).join('\n') + '\n';

test('a full disk takes a batch whole or not at all, and it comes again', { skip: noDisk }, async () => {
  const file = path.join(disk, 'events');
  const destination = new FileDestination(file);
  await destination.send(lines('a'));
  await assert.rejects(destination.send(lines('b')), { code: 'stream-unreachable' });
  assert.equal(readFileSync(file, 'utf8'), text('a'), 'half of it is not there');
  execFileSync('mount', ['-o', 'remount,size=1m', disk], { stdio: 'pipe' });
  await destination.send(lines('b'));
  assert.equal(readFileSync(file, 'utf8'), text('a') + text('b'));
});
