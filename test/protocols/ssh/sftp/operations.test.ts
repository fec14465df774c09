/** Every request and answer of SFTP 3 and OpenSSH's extensions: what it is called, what it does, that it passes unchanged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attrs,
  close,
  encodePacket,
  extended,
  fullAttributes,
  Fxp,
  handle,
  init,
  namesOf,
  noAttributes,
  onPath,
  open,
  opened,
  Played,
  readable,
  request,
  started,
  status,
  string,
  uint32,
  uint64,
} from './packets.ts';
import { deny } from '../support.ts';

const ownHome = 0x686f6f70;

/** Request, answer, text, effects, paths: those that are commands. */
const commands: readonly [Buffer, Buffer, string, string, string][] = [
  [open(1, '/a/b', 1), handle(1, 'h'), 'get /a/b', 'file read', '/ /a/ /a/b'],
  [open(1, '/a/b', 0x1a), handle(1, 'h'), 'put /a/b', 'file write', '/ /a/ /a/b'],
  [open(1, 'b', 0x1a, fullAttributes), handle(1, 'h'), 'put b', 'file write', '/ /home/ /home/ana/ /home/ana/b'],
  [open(1, '/b', 3), handle(1, 'h'), 'open /b', 'file read write', '/ /b'],
  [open(1, '/b', 0), handle(1, 'h'), 'get /b', 'file read', '/ /b'],
  [open(1, '/b', 0x11), handle(1, 'h'), 'open /b', 'file read write', '/ /b'],
  [open(1, '/b', 0x12, Buffer.concat([uint32(4), uint32(0o104755)])), handle(1, 'h'), 'put /b', 'file privilege write', '/ /b'],
  [onPath(Fxp.opendir, 1, '/a/./../c//'), handle(1, 'h'), 'list /a/./../c//', 'file read', '/ /c /c/'],
  [onPath(Fxp.remove, 1, '/a b'), status(1), "remove '/a b'", 'delete file', '/ /a b /a b/'],
  [onPath(Fxp.rmdir, 1, '../x'), status(1), 'rmdir ../x', 'delete file', '/ /home/ /home/x /home/x/'],
  [onPath(Fxp.mkdir, 1, '/d', noAttributes), status(1), 'mkdir /d', 'file write', '/ /d /d/'],
  [onPath(Fxp.mkdir, 1, '/d', Buffer.concat([uint32(4), uint32(0o1777)])), status(1), 'mkdir /d', 'file privilege write', '/ /d /d/'],
  [onPath(Fxp.rename, 1, '/a', string('/b')), status(1), 'rename /a /b', 'delete file write', '/ /a /a/ /b /b/'],
  [onPath(Fxp.setstat, 1, '/a', fullAttributes), status(1), 'setstat /a size=5 owner=1000:100 mode=0644 times=11,12 extended', 'file privilege write', '/ /a /a/'],
  [onPath(Fxp.setstat, 1, '/a', uint32(8), uint32(1), uint32(2)), status(1), 'setstat /a times=1,2', 'file write', '/ /a /a/'],
  [onPath(Fxp.symlink, 1, '../etc', string('/a/l')), status(1), 'symlink ../etc /a/l', 'file read write', '/ /a/ /a/l /a/l/ /etc /etc/ /home/ /home/etc /home/etc/'],
  [extended(1, 'posix-rename@openssh.com', string('/a'), string('/b')), status(1), 'rename /a /b', 'delete file write', '/ /a /a/ /b /b/'],
  [extended(1, 'hardlink@openssh.com', string('/a'), string('/b')), status(1), 'hardlink /a /b', 'file read write', '/ /a /a/ /b /b/'],
  [extended(1, 'lsetstat@openssh.com', string('/a'), uint32(2), uint32(0), uint32(0)), status(1), 'setstat /a owner=0:0', 'file privilege write', '/ /a /a/'],
]; // prettier-ignore

test('each operation is one command with its text and facts, passes unchanged and gets its outcome', () => {
  for (const [sent, answer, text, effects, paths] of commands) {
    const played = started();
    assert.ok(played.ask(sent, answer), text);
    const [noted, ...more] = played.gate.commands;
    assert.deepEqual(more, []);
    assert.equal(noted!.text, text);
    assert.equal(noted!.facts.effects.join(' '), effects, text);
    assert.equal(noted!.facts.paths!.join(' '), paths, text);
    assert.equal(noted!.outcomes.length, answer[4] === Fxp.handle ? 0 : 1);
    played.exchange.ended();
    assert.equal(noted!.outcomes.length, 1, text);
  }
});

test('each operation that the target refuses has failed, with the name of the code', () => {
  for (const [sent, , text] of commands) {
    const played = started();
    assert.ok(played.ask(sent, status(1, 2)));
    played.exchange.ended();
    assert.deepEqual(played.gate.summary(), [`${text} → failed null 0 SSH_FX_NO_SUCH_FILE`]);
  }
});

test('each operation that policy denies reaches nobody, and the client hears why', () => {
  for (const [sent, , text] of commands) {
    const played = started(() => deny);
    played.fromClient(sent);
    assert.equal(played.target.all().length, 0);
    assert.deepEqual(readable(played.client.all()), [
      'status 1 3 permission denied by policy no-secrets. Ask the keeper.',
    ]);
    assert.deepEqual(played.told, [`${text}: permission denied by policy no-secrets. Ask the keeper.`]);
    assert.deepEqual(played.gate.summary(), [`${text} → blocked null 0 SSH_FX_PERMISSION_DENIED`]);
  }
});

const reply = (id: number): Buffer => request(Fxp.extendedReply, id, uint64(1), uint64(2));

/** Questions: request, answer, text where it is denied. */
const questions: readonly [Buffer, Buffer, string][] = [
  [onPath(Fxp.stat, 1, '/a'), attrs(1), 'stat /a'],
  [onPath(Fxp.lstat, 1, '/a'), attrs(1), 'stat /a'],
  [onPath(Fxp.readlink, 1, '/a'), namesOf(1, 'x'), 'readlink /a'],
  [onPath(Fxp.realpath, 1, '/a'), namesOf(1, '/a'), 'realpath /a'],
  [extended(1, 'statvfs@openssh.com', string('/a')), reply(1), 'statvfs /a'],
  [extended(1, 'expand-path@openssh.com', string('~/a')), namesOf(1, '/a'), 'realpath ~/a'],
  [extended(1, 'home-directory', string('ana')), namesOf(1, '/home/ana'), 'home ana'],
  [
    extended(1, 'users-groups-by-id@openssh.com', string(uint32(0)), string('')),
    request(Fxp.extendedReply, 1, string(string('root')), string('')),
    'users',
  ],
];

test('questions pass unrecorded where policy would allow or ask, and are recorded where it denies', () => {
  for (const kind of ['allow', 'review'] as const)
    for (const [sent, answer, text] of questions) {
      const played = started(() => ({ kind }));
      assert.ok(played.ask(sent, answer), text);
      assert.equal(played.gate.questions, 1);
      assert.deepEqual(played.gate.commands, []);
    }
  for (const [sent, , text] of questions) {
    const played = started(() => deny);
    played.fromClient(sent);
    assert.equal(played.target.all().length, 0);
    assert.match(readable(played.client.all())[0]!, /^status 1 3 permission denied by policy no-secrets/);
    assert.deepEqual(played.gate.summary(), [`${text} → blocked null 0 SSH_FX_PERMISSION_DENIED`]);
    assert.deepEqual(played.gate.commands[0]!.facts.effects, ['file', 'read']);
  }
});

test('what says nothing of files passes whatever policy says: where the session stands, and limits', () => {
  const played = started(() => deny);
  assert.ok(played.ask(onPath(Fxp.realpath, 1, '.'), namesOf(1, '/home/ana')));
  assert.ok(played.ask(onPath(Fxp.realpath, 1, ''), namesOf(1, '/home/ana')));
  assert.ok(played.ask(extended(1, 'limits@openssh.com'), request(Fxp.extendedReply, 1, uint64(262144))));
  assert.equal(played.gate.questions, 0);
});

test('requests on handles: the file is the one that was opened', () => {
  const played = started();
  assert.ok(played.ask(open(1, '/src', 1), handle(1, 'r')));
  assert.ok(played.ask(open(1, '/dst', 0x1a), handle(1, 'w')));
  assert.ok(played.ask(request(Fxp.fstat, 1, string('r')), attrs(1)));
  assert.ok(played.ask(request(Fxp.fsetstat, 1, string('w'), uint32(4), uint32(0o600)), status(1)));
  assert.ok(played.ask(extended(1, 'fstatvfs@openssh.com', string('r')), reply(1)));
  assert.ok(played.ask(extended(1, 'fsync@openssh.com', string('w')), status(1)));
  const copy = [string('r'), uint64(0), uint64(0), string('w'), uint64(0)];
  assert.ok(played.ask(extended(1, 'copy-data', ...copy), status(1)));
  assert.ok(played.ask(close(1, 'w'), status(1)));
  assert.ok(played.ask(close(1, 'r'), status(1, 4)));
  const empty = '0 bytes sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  assert.deepEqual(played.gate.summary(), [
    `get /src → failed ${empty} 0 SSH_FX_FAILURE`,
    `put /dst → succeeded ${empty}; and copied into by the target 0 null`,
    'setstat /dst mode=0600 → succeeded null 0 null',
    'copy /src /dst → succeeded null 0 null',
  ]);
});

const onHandle = (type: number, ...parts: Buffer[]): Buffer => request(type, 9, string('h'), ...parts);

test('a handle that the target did not give out, or that was closed, is refused here', () => {
  const played = started();
  assert.ok(played.ask(open(1, '/f', 1), handle(1, 'h')));
  assert.ok(played.ask(close(2, 'h'), status(2)));
  for (const sent of [
    onHandle(Fxp.read, uint64(0), uint32(1)),
    onHandle(Fxp.write, uint64(0), string('x')),
    onHandle(Fxp.close),
    onHandle(Fxp.readdir),
    onHandle(Fxp.fstat),
    onHandle(Fxp.fsetstat, noAttributes),
    extended(9, 'fsync@openssh.com', string('h')),
    extended(9, 'copy-data', string('h'), uint64(0), uint64(0), string('h'), uint64(0)),
  ]) {
    played.fromClient(sent, 3);
    assert.equal(played.target.all().length, 0);
    assert.deepEqual(readable(played.client.all()), ['status 9 4 unknown handle']);
  }
});

test('a handle serves what it was opened for', () => {
  const played = opened(1);
  played.ask(open(1, '/w', 2), handle(1, 'w'));
  played.fromClient(request(Fxp.write, 9, string('h'), uint64(0), string('x')));
  played.fromClient(request(Fxp.readdir, 9, string('h')));
  played.fromClient(request(Fxp.read, 9, string('w'), uint64(0), uint32(1)));
  assert.equal(played.target.all().length, 0);
  assert.deepEqual(readable(played.client.all()), Array(3).fill('status 9 3 handle is not open for this'));
});

const offer = (...names: string[]): Buffer[] => names.map((name) => string(name));

test('unknown extensions are neither offered nor passed', () => {
  const played = new Played();
  played.fromClient(init(6));
  assert.deepEqual(played.target.all(), init(3), 'only version 3 is asked for');
  const known = offer('fsync@openssh.com', '1', 'copy-data', '1');
  const unknown = offer('check-file', 'md5', 'statvfs@openssh.com', '3');
  played.fromTarget(encodePacket(Fxp.version, uint32(3), ...unknown, ...known), 5);
  assert.equal(played.client.all().length, 0, 'the client waits until it is known where paths begin');
  assert.deepEqual(played.target.all(), onPath(Fxp.realpath, ownHome, '.'));
  played.fromTarget(namesOf(ownHome, '/home/ana'));
  assert.deepEqual(played.client.all(), encodePacket(Fxp.version, uint32(3), ...known));
  played.fromClient(extended(5, 'check-file', string('/a')));
  assert.deepEqual(readable(played.client.all()), ['status 5 8 unsupported extension']);
});

test('a target that does not say where it stands leaves relative paths as they are; what climbs out is unknown', () => {
  const played = started(undefined, '');
  played.fromClient(Buffer.concat([open(1, './a/b', 1), open(2, '../b', 1)]));
  assert.deepEqual(
    played.gate.commands.map(({ facts }) => [facts.effects, facts.paths]),
    [
      [
        ['file', 'read'],
        ['a/', 'a/b'],
      ],
      [
        ['file', 'unknown'],
        ['../', '../b'],
      ],
    ],
  );
});

test('equal facts are one object', () => {
  const played = started();
  assert.ok(played.ask(open(1, '/a/b', 1), handle(1, 'h')));
  assert.ok(played.ask(open(1, '/a/./b', 1), handle(1, 'i')));
  const [first, second] = played.gate.commands;
  assert.equal(first!.facts, second!.facts);
});
