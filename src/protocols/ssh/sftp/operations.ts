/**
 * What the requests ask for that are decided: the text of each, its facts, and with what the target may answer. READ, WRITE,
 * READDIR and CLOSE are not here: they were decided when their file was opened.
 *
 * Texts: `get PATH`, `put PATH`, `open PATH` (read and written), `list PATH`, `remove PATH`, `rename OLD NEW`, `mkdir PATH`,
 * `rmdir PATH`, `setstat PATH [size=N] [owner=U:G] [mode=0644] [times=A,M] [extended]`, `symlink TARGET LINK`,
 * `hardlink OLD NEW`, `copy OLD NEW`; and the questions `stat`, `readlink`, `realpath`, `statvfs`, `home`, `users`.
 */
import type { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { CommandFacts } from '../../../model/command-facts.ts';
import { fileEffects } from '../files/file-facts.ts';
import type { FileEffects, FileFacts } from '../files/file-facts.ts';
import { commandText, quotedPath } from '../files/file-text.ts';
import { directoryOf, joined, longestPathBytes, normalize } from '../files/paths.ts';
import { SftpError } from './error.ts';
import type { Handle, Handles, Opening } from './handles.ts';
import { extensions, fxFailure, fxOpUnsupported, Fxp, Open, takeAttributes, takeString } from './packets.ts';
import { takeUint64 } from './packets.ts';
import type { Attributes } from './packets.ts';

export interface Operation {
  /** `question`: changes nothing, and is a command only where it is denied. `plain`: there is nothing to decide. */
  readonly kind: 'command' | 'question' | 'plain';
  readonly text: () => Buffer;
  readonly facts: CommandFacts | null;
  /** Type of the answer besides STATUS. */
  readonly answer: number;
  readonly opening: Opening | null;
  /** The handle that it names; of `copy-data` the one that is written. */
  readonly handle: Handle | null;
  /** The handle that `copy-data` reads. */
  readonly from: Handle | null;
}

/** Answered here, and not passed on. */
export interface Refused {
  readonly kind: 'refused';
  readonly code: number;
  readonly message: string;
}

const refused = (message: string, code: number = fxFailure): Refused => ({ kind: 'refused', code, message });
export const unknownHandle = refused('unknown handle');

/** A path as it was sent. */
interface Path {
  readonly bytes: Buffer;
  readonly path: string;
}

export class Operations {
  readonly #facts: FileFacts;
  readonly #handles: Handles;
  /** What the target says is `.`; null: it does not say. */
  home: string | null = null;

  constructor(facts: FileFacts, handles: Handles) {
    this.#facts = facts;
    this.#handles = handles;
  }

  /** A whole request from behind its id on. @throws SftpError, BytesError */
  decode(type: number, reader: BoundedReader): Operation | Refused {
    switch (type) {
      case Fxp.open:
        return this.#open(reader);
      case Fxp.opendir:
        return this.#list(reader);
      case Fxp.setstat:
        return this.#setstat(this.#path(reader), reader);
      case Fxp.fsetstat:
        return this.#onHandle(reader, (handle) => this.#setstat(handle, reader));
      case Fxp.fstat:
        return this.#onHandle(reader, (handle) => this.#question('stat', handle, Fxp.attrs));
      case Fxp.stat:
      case Fxp.lstat:
        return this.#question('stat', this.#path(reader), Fxp.attrs);
      case Fxp.readlink:
        return this.#question('readlink', this.#path(reader), Fxp.name);
      case Fxp.realpath:
        return this.#realpath(reader);
      case Fxp.remove:
        return this.#one('remove', fileEffects.delete, this.#path(reader));
      case Fxp.rmdir:
        return this.#one('rmdir', fileEffects.delete, this.#path(reader));
      case Fxp.mkdir:
        return this.#mkdir(reader);
      case Fxp.rename:
        return this.#two('rename', fileEffects.rename, this.#path(reader), this.#path(reader));
      case Fxp.symlink:
        return this.#symlink(reader);
      case Fxp.extended:
        return this.#extended(takeString(reader).toString('latin1'), reader);
      default:
        throw new SftpError('sftp-unexpected-packet', `a packet of type ${type}, which is no request`);
    }
  }

  #extended(name: string, reader: BoundedReader): Operation | Refused {
    if (!extensions.has(name)) return refused('unsupported extension', fxOpUnsupported);
    switch (name) {
      case 'posix-rename@openssh.com':
        return this.#two('rename', fileEffects.rename, this.#path(reader), this.#path(reader));
      case 'hardlink@openssh.com':
        return this.#two('hardlink', fileEffects.readWrite, this.#path(reader), this.#path(reader));
      case 'lsetstat@openssh.com':
        return this.#setstat(this.#path(reader), reader);
      case 'statvfs@openssh.com':
        return this.#question('statvfs', this.#path(reader), Fxp.extendedReply);
      case 'fstatvfs@openssh.com':
        return this.#onHandle(reader, (handle) => this.#question('statvfs', handle, Fxp.extendedReply));
      case 'expand-path@openssh.com':
        return this.#realpath(reader);
      case 'fsync@openssh.com':
        return this.#onHandle(reader, (handle) => plain(Fxp.status, handle));
      case 'copy-data':
        return this.#copy(reader);
      case 'home-directory':
        return this.#names('home', [takeString(reader)], Fxp.name);
      case 'users-groups-by-id@openssh.com':
        takeString(reader);
        takeString(reader);
        return this.#names('users', [], Fxp.extendedReply);
      default: // limits@openssh.com tells nothing of files
        return plain(Fxp.extendedReply, null);
    }
  }

  /** @throws SftpError: one that no file can have, or that another reader would end at its NUL */
  #path(reader: BoundedReader): Path | Refused {
    const bytes = takeString(reader);
    if (bytes.includes(0)) throw new SftpError('sftp-malformed-packet', 'a path holds a NUL');
    if (bytes.length > longestPathBytes) return refused('path too long');
    const path = normalize(bytes.toString(), this.home);
    return path === null ? refused('path nested too deep') : { bytes, path };
  }

  #open(reader: BoundedReader): Operation | Refused {
    const path = this.#path(reader);
    const flags = reader.uint32();
    const { mode } = takeAttributes(reader);
    if ('kind' in path) return path;
    if (flags > 0x3f) return refused('unsupported flags of open', fxOpUnsupported);
    // OpenSSH's server opens for reading what is asked for neither; and creates and truncates also then.
    const reads = (flags & Open.read) !== 0 || (flags & Open.write) === 0;
    const changes = (flags & (Open.write | Open.append | Open.create | Open.truncate)) !== 0;
    const writes = (flags & Open.write) !== 0;
    const verb = !reads ? 'put' : changes ? 'open' : 'get';
    const effects = openEffects(reads, changes, changes && special(mode));
    const quoted = quotedPath(path.bytes);
    return {
      kind: 'command',
      text: () => commandText(verb, quoted),
      facts: this.#facts.of(effects, [path.path], false),
      answer: Fxp.handle,
      opening: {
        path: path.path,
        quoted: Buffer.from(quoted),
        directory: false,
        reads,
        writes,
        appends: (flags & Open.append) !== 0,
      },
      handle: null,
      from: null,
    };
  }

  #list(reader: BoundedReader): Operation | Refused {
    const path = this.#path(reader);
    if ('kind' in path) return path;
    const quoted = quotedPath(path.bytes);
    return {
      kind: 'command',
      text: () => commandText('list', quoted),
      facts: this.#facts.of(fileEffects.read, [path.path], true),
      answer: Fxp.handle,
      opening: {
        path: path.path,
        quoted: Buffer.from(quoted),
        directory: true,
        reads: false,
        writes: false,
        appends: false,
      },
      handle: null,
      from: null,
    };
  }

  #mkdir(reader: BoundedReader): Operation | Refused {
    const path = this.#path(reader);
    const { mode } = takeAttributes(reader);
    return this.#one('mkdir', special(mode) ? fileEffects.privilege : fileEffects.write, path);
  }

  #setstat(of: Path | Refused | Handle, reader: BoundedReader): Operation | Refused {
    const attributes = takeAttributes(reader);
    if ('kind' in of) return of;
    const privileged = attributes.mode !== null || attributes.owner !== null;
    const effects = privileged ? fileEffects.privilege : fileEffects.write;
    const { path, quoted, handle } = named(of);
    return {
      kind: 'command',
      text: () => commandText('setstat', quoted(), ...changes(attributes)),
      facts: this.#facts.of(effects, [path], true),
      answer: Fxp.status,
      opening: null,
      handle,
      from: null,
    };
  }

  /** The paths in OpenSSH's order, which the draft has the other way round; facts are of both. */
  #symlink(reader: BoundedReader): Operation | Refused {
    const [target, link] = [this.#path(reader), this.#path(reader)];
    if ('kind' in target) return target;
    if ('kind' in link) return link;
    const paths = new Set([target.path, link.path]);
    for (const [from, at] of [
      [target, link],
      [link, target],
    ] as const) {
      if (from.bytes[0] === slash) continue;
      const beside = normalize(joined(directoryOf(at.path), from.bytes.toString()), null);
      if (beside === null) return refused('path nested too deep');
      paths.add(beside);
    }
    return this.#of('symlink', fileEffects.readWrite, [target, link], [...paths].toSorted());
  }

  #copy(reader: BoundedReader): Operation | Refused {
    return this.#onHandle(reader, (from) => {
      takeUint64(reader);
      takeUint64(reader);
      return this.#onHandle(reader, (to) => {
        takeUint64(reader);
        if (!from.opening.reads || !to.opening.writes) return refused('handle is not open for this');
        const paths = [from.opening.path, to.opening.path];
        return {
          kind: 'command',
          text: () => commandText('copy', from.opening.quoted, to.opening.quoted),
          facts: this.#facts.of(fileEffects.readWrite, paths, false),
          answer: Fxp.status,
          opening: null,
          handle: to,
          from,
        };
      });
    });
  }

  /** Where the session stands says nothing of files, and every client asks for it first. */
  #realpath(reader: BoundedReader): Operation | Refused {
    const path = this.#path(reader);
    if (!('kind' in path) && (path.bytes.length === 0 || path.bytes.equals(dot)))
      return plain(Fxp.name, null);
    return this.#question('realpath', path, Fxp.name);
  }

  #question(verb: string, of: Path | Refused | Handle, answer: number): Operation | Refused {
    if ('kind' in of) return of;
    const { path, quoted, handle } = named(of);
    return {
      kind: 'question',
      text: () => commandText(verb, quoted()),
      facts: this.#facts.of(fileEffects.read, [path], true),
      answer,
      opening: null,
      handle,
      from: null,
    };
  }

  /** A question about people, not files. */
  #names(verb: string, names: readonly Buffer[], answer: number): Operation {
    const text = (): Buffer => commandText(verb, ...names.map(quotedPath));
    const facts = this.#facts.of(fileEffects.read, [], false);
    return { kind: 'question', text, facts, answer, opening: null, handle: null, from: null };
  }

  #one(verb: string, effects: FileEffects, path: Path | Refused): Operation | Refused {
    return 'kind' in path ? path : this.#of(verb, effects, [path], [path.path]);
  }

  #two(verb: string, effects: FileEffects, from: Path | Refused, to: Path | Refused): Operation | Refused {
    if ('kind' in from) return from;
    return 'kind' in to ? to : this.#of(verb, effects, [from, to], [from.path, to.path]);
  }

  #of(verb: string, effects: FileEffects, given: readonly Path[], paths: readonly string[]): Operation {
    return {
      kind: 'command',
      text: () => commandText(verb, ...given.map(({ bytes }) => quotedPath(bytes))),
      facts: this.#facts.of(effects, paths, true),
      answer: Fxp.status,
      opening: null,
      handle: null,
      from: null,
    };
  }

  #onHandle(reader: BoundedReader, then: (handle: Handle) => Operation | Refused): Operation | Refused {
    const bytes = takeString(reader);
    const handle = this.#handles.find(bytes, 0, bytes.length);
    if (handle !== null) return then(handle);
    reader.position = reader.end;
    return unknownHandle;
  }
}

const slash = 0x2f;
const dot = Buffer.from('.');

const plain = (answer: number, handle: Handle | null): Operation => ({
  kind: 'plain',
  text: () => dot,
  facts: null,
  answer,
  opening: null,
  handle,
  from: null,
});

/** Set-user-ID, set-group-ID, sticky. */
const special = (mode: number | null): boolean => mode !== null && (mode & 0o7000) !== 0;

function openEffects(reads: boolean, changes: boolean, privileged: boolean): FileEffects {
  if (privileged) return reads ? fileEffects.readPrivilege : fileEffects.privilege;
  if (!changes) return fileEffects.read;
  return reads ? fileEffects.readWrite : fileEffects.write;
}

const named = (of: Path | Handle): { path: string; quoted: () => Buffer; handle: Handle | null } =>
  'opening' in of
    ? { path: of.opening.path, quoted: () => of.opening.quoted, handle: of }
    : { path: of.path, quoted: () => quotedPath(of.bytes), handle: null };

/** What SETSTAT changes, as words of its text. */
function changes({ size, owner, mode, times, extended }: Attributes): Buffer[] {
  const words: string[] = [];
  if (size !== null) words.push(`size=${size}`);
  if (owner !== null) words.push(`owner=${owner.join(':')}`);
  if (mode !== null) words.push(`mode=${(mode & 0o7777).toString(8).padStart(4, '0')}`);
  if (times !== null) words.push(`times=${times.join(',')}`);
  if (extended > 0) words.push('extended');
  return words.map((word) => Buffer.from(word));
}
