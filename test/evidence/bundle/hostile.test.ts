/** ZIP files that two programs would read differently, or that harm whoever unpacks them: refused before anything is read. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import {
  encodeCentral,
  encodeEnd,
  encodeLocal,
  type ZipEntry,
} from '../../../src/evidence/bundle/zip-format.ts';
import { ZipFiles } from '../../../src/evidence/bundle/zip-reader.ts';
import { EvidenceError } from '../../../src/evidence/error.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-hostile-'));
process.once('exit', () => rmSync(directory, { recursive: true }));

interface Made {
  readonly name: string;
  readonly content?: Buffer;
  readonly method?: 0 | 8;
  /** What the local header says otherwise. */
  readonly local?: Partial<ZipEntry>;
  /** What the directory says otherwise. */
  readonly central?: Partial<ZipEntry>;
  /** Changes the directory's header after it was made. */
  readonly edit?: (header: Buffer) => void;
  readonly editLocal?: (header: Buffer) => void;
  /** Bytes that nothing names, in front of it. */
  readonly gap?: number;
}

function zip(
  files: readonly Made[],
  more: { readonly entries?: number; readonly tail?: Buffer } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directoryParts: Buffer[] = [];
  let offset = 0;
  for (const {
    name,
    content = Buffer.from('text'),
    method = 0,
    local,
    central,
    edit,
    editLocal,
    gap = 0,
  } of files) {
    parts.push(Buffer.alloc(gap));
    offset += gap;
    const stored = method === 0 ? content : deflateRawSync(content);
    const sizes = { bytes: content.length, compressedBytes: stored.length };
    const entry = { name, method, crc32: crc32(content), ...sizes, offset } as const;
    const header = encodeLocal({ ...entry, ...local }, 0);
    editLocal?.(header);
    const centralHeader = encodeCentral({ ...entry, ...central }, 0);
    edit?.(centralHeader);
    parts.push(header, stored);
    directoryParts.push(centralHeader);
    offset += header.length + stored.length;
  }
  const central = Buffer.concat(directoryParts);
  const end = encodeEnd({ entries: more.entries ?? files.length, offset, bytes: central.length });
  return Buffer.concat([...parts, central, end, more.tail ?? Buffer.alloc(0)]);
}

function open(bytes: Buffer): ZipFiles {
  const file = path.join(directory, 'file.zip');
  writeFileSync(file, bytes);
  return ZipFiles.open(file);
}

const refused = (saying: RegExp) => (error: unknown) =>
  error instanceof EvidenceError && error.code === 'bundle-malformed' && saying.test(error.message);

const encrypted = (at: number) => (header: Buffer) => void (header[at]! |= 1);
const bomb = Buffer.alloc(32 * 1024 * 1024);

const hostile: readonly (readonly [what: string, files: readonly Made[], saying: RegExp])[] = [
  ['two files of one name', [{ name: 'a' }, { name: 'a' }], /two files/],
  ['a path that climbs', [{ name: '../a' }], /the name/],
  ['a path that climbs in the middle', [{ name: 'log/../../a' }], /the name/],
  ['an absolute path', [{ name: '/etc/passwd' }], /the name/],
  ['a path of Windows', [{ name: 'C:\\a' }], /the name/],
  ['a backslash', [{ name: 'log\\..\\a' }], /the name/],
  ['an empty part', [{ name: 'log//a' }], /the name/],
  ['a control character', [{ name: 'a\u001b[2J' }], /the name/],
  ['a name that is no ASCII', [{ name: 'ä' }], /the name/],
  ['a file that is a directory too', [{ name: 'a' }, { name: 'a/b' }], /file and a directory/],
  ['a directory that is a file too', [{ name: 'a/b' }, { name: 'a' }], /file and a directory/],
  [
    'a symbolic link',
    [{ name: 'a', edit: (header) => header.writeUInt32LE(0o120777 * 65_536, 38) }],
    /regular/,
  ],
  ['a device', [{ name: 'a', edit: (header) => header.writeUInt32LE(0o060600 * 65_536, 38) }], /regular/],
  ['a directory with content', [{ name: 'a/' }], /directory in it has content/],
  ['encrypted', [{ name: 'a', edit: encrypted(8), editLocal: encrypted(6) }], /encrypted/],
  ['encrypted, by its local header alone', [{ name: 'a', editLocal: encrypted(6) }], /encrypted/],
  ['sizes that come later', [{ name: 'a', edit: (header) => void (header[8]! |= 8) }], /unusual form/],
  ['another compression', [{ name: 'a', edit: (header) => void (header[10] = 12) }], /unusual way/],
  ['another name in the local header', [{ name: 'a', local: { name: 'b' } }], /disagrees/],
  ['another size in the local header', [{ name: 'a', local: { bytes: 3, compressedBytes: 3 } }], /disagrees/],
  ['another checksum in the local header', [{ name: 'a', local: { crc32: 1 } }], /disagrees/],
  ['a file twice in the directory', [{ name: 'a' }, { name: 'b', central: { offset: 0 } }], /overlap/],
  ['something between files', [{ name: 'a' }, { name: 'b', gap: 4 }], /overlap/],
  ['something in front of all', [{ name: 'a', gap: 4 }], /overlap/],
  ['a stored file of two sizes', [{ name: 'a', central: { bytes: 9 }, local: { bytes: 9 } }], /two sizes/],
  [
    'a file that goes on behind the directory, and one that begins there',
    [
      {
        name: 'a',
        central: { bytes: 4000, compressedBytes: 4000 },
        local: { bytes: 4000, compressedBytes: 4000 },
      },
      { name: 'b', central: { offset: 4051 } },
    ],
    /overlap|cut/,
  ],
  [
    'compressed to much more than it is',
    [
      {
        name: 'a',
        method: 8,
        central: { bytes: 1, compressedBytes: 1_000_000 },
        local: { bytes: 1, compressedBytes: 1_000_000 },
      },
    ],
    /shorter than|more than it is/,
  ],
  ['a bomb', [{ name: 'a', method: 8, content: bomb }], /bomb/],
];

for (const [what, files, saying] of hostile)
  test(`refused: ${what}`, () => {
    assert.throws(() => open(zip(files)), refused(saying));
  });

test('refused: fewer files than its end says, something behind it, a part of it, no ZIP', () => {
  assert.throws(() => open(zip([{ name: 'a' }], { entries: 2 })), refused(/length/));
  assert.throws(() => open(zip([{ name: 'a' }], { tail: Buffer.alloc(1) })), refused(/end/));
  assert.throws(() => open(zip([{ name: 'a' }]).subarray(1)), refused(/./));
  assert.throws(() => open(Buffer.from('no ZIP at all, though long enough')), refused(/end/));
});

test('a file that inflates to more than it says is not read further, and one with another checksum not believed', async () => {
  const content = Buffer.from('x'.repeat(100_000));
  const changes = { bytes: 10 };
  const zipped = open(zip([{ name: 'a', method: 8, content, central: changes, local: changes }]));
  await assert.rejects(zipped.read('a', 1000), refused(/damaged/));
  const read = async () => {
    let length = 0;
    for await (const piece of zipped.content('a')) length += piece.length;
    return length;
  };
  await assert.rejects(read(), refused(/damaged/));
  zipped.close();
  const other = open(zip([{ name: 'a', central: { crc32: 1 }, local: { crc32: 1 } }]));
  await assert.rejects(other.read('a', 1000), refused(/damaged/));
  other.close();
});

test('what is well made is read, as files and directories', async () => {
  const files = open(
    zip([
      { name: 'a/b/c', content: Buffer.from('one') },
      { name: 'a/d', method: 8 },
    ]),
  );
  assert.equal(String(await files.read('a/b/c', 100)), 'one');
  assert.equal(String(await files.read('a/d', 100)), 'text');
  assert.equal(String(await files.read('a/d', 2)), 'tex');
  assert.equal(await files.read('a/b', 100), null);
  const listed = (await files.list('a')).map((entry) => [entry.name, entry.isFile(), entry.isDirectory()]);
  assert.deepEqual(listed, [
    ['b', false, true],
    ['d', true, false],
  ]);
  files.close();
});

test('whatever is changed in it: refused, damaged, or read as it was; never another failure', async () => {
  const names = ['a/b', 'c', 'd'];
  const whole = zip(
    names.map((name, i) => ({ name, method: i % 2 === 0 ? 8 : 0, content: Buffer.from(name.repeat(9)) })),
  );
  const change = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, by] of changes) bytes[at]! ^= by;
      let files: ZipFiles | null = null;
      try {
        files = open(bytes);
        for (const name of files.names) {
          const content: string = String(await files.read(name, 1000));
          if (names.includes(name)) assert.equal(content, name.repeat(9));
        }
      } catch (error) {
        assert.ok(error instanceof EvidenceError && error.code === 'bundle-malformed', String(error));
      } finally {
        files?.close();
      }
    }),
    { numRuns: 500 },
  );
});
