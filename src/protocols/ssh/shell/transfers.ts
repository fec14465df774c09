/**
 * Programs that stand at the other end of a file transfer (scp's old protocol, sftp, rsync, git). Their bytes are a protocol
 * between programs: nothing in them may be replaced. A text is only taken for one when it is that program alone, with
 * options that are known to do no more.
 */
import { readableText } from './dialects.ts';
import { optionList, readOptions } from './options.ts';
import type { Rule, Rules } from './rules.ts';
import { readCommands } from './reader.ts';
import type { Word } from './words.ts';

export type TransferKind = 'scp-source' | 'scp-sink' | 'sftp' | 'rsync' | 'git';

export interface Transfer {
  readonly kind: TransferKind;
  /** From the target to the client (`read`), or onto the target (`write`). sftp does both. */
  readonly reads: boolean;
  readonly writes: boolean;
  readonly deletes: boolean;
  /** As written; a pattern, which the target's shell expands, too. */
  readonly paths: readonly string[];
}

interface Found extends Omit<Transfer, 'paths'> {
  readonly words: readonly Word[];
}

const scpOptions = optionList('tfvrpdqC');
const rsyncOptions = optionList(
  'vlogDtprnzcuSHAXxdbiEIOWhmJUNKLkqyR e? T: B: --server --sender --delete --delete-before --delete-during --delete-after --delete-delay --delete-excluded --partial --inplace --append --append-verify --numeric-ids --safe-links --copy-unsafe-links --ignore-errors --force --existing --ignore-existing --size-only --stats --timeout= --bwlimit= --compress-level= --compress-choice= --checksum-choice= --checksum-seed= --max-size= --min-size= --max-delete= --modify-window= --no-implied-dirs --fuzzy --fsync --log-format? --out-format? --from0 --list-only --no-r --no-i-r --delay-updates --preallocate --mkpath --old-args --secluded-args --new-compress --zc= --zl= --skip-compress=',
);

/** From its words, the name without a path before it; null: it is none, or does more. */
function transferBy(name: string, args: readonly Word[]): Found | null {
  switch (name) {
    case 'scp':
      return scp(args);
    case 'sftp-server':
    case 'internal-sftp':
      return args.length === 0 ? { kind: 'sftp', reads: true, writes: true, deletes: true, words: [] } : null;
    case 'rsync':
      return rsync(args);
    case 'git-upload-pack':
    case 'git-upload-archive':
    case 'git-receive-pack':
      return git(name.slice(4), args);
    case 'git':
      return args[0]?.literal === true ? git(args[0].text, args.slice(1)) : null;
    default:
      return null;
  }
}

/** Its two ends start nothing, whatever a file is called. */
const asFile = (word: Word): Word => (word.expands || word.literal ? word : { ...word, optionLike: false });

function scp(args: readonly Word[]): Found | null {
  const { isSure, given, operands } = readOptions(args.map(asFile), scpOptions);
  if (!isSure || given.has('t') === given.has('f') || operands.length === 0) return null;
  if (given.has('t') && operands.length !== 1) return null;
  const sends = given.has('f');
  return {
    kind: sends ? 'scp-source' : 'scp-sink',
    reads: sends,
    writes: !sends,
    deletes: false,
    words: operands,
  };
}

function rsync(args: readonly Word[]): Found | null {
  const { isSure, given, operands } = readOptions(args, rsyncOptions);
  // The first operand is a place holder; letters after `e.` are what the client can do.
  if (args[0]?.text !== '--server' || !isSure || operands[0]?.text !== '.') return null;
  const version = args.filter(({ prefix }) => /^-\w*e/.test(prefix));
  if (!version.every(({ literal, text }) => literal && /^-[a-zA-Z]*e[\w.]*$/.test(text))) return null;
  const sends = given.has('--sender');
  const deletes = [...given].some((name) => name.startsWith('--delete'));
  return {
    kind: 'rsync',
    reads: sends,
    writes: !sends,
    deletes: deletes && !sends,
    words: operands.slice(1),
  };
}

const gitOptions = optionList(
  '--strict --no-strict --timeout= --stateless-rpc --advertise-refs --http-backend-info-refs',
);

function git(verb: string, args: readonly Word[]): Found | null {
  const { isSure, operands } = readOptions(args, gitOptions);
  if (!/^(upload-pack|upload-archive|receive-pack)$/.test(verb) || !isSure || operands.length !== 1)
    return null;
  const writes = verb === 'receive-pack';
  return { kind: 'git', reads: !writes, writes, deletes: false, words: operands };
}

const places = /^\/(?:usr\/(?:local\/)?)?(?:bin|(?:lib|libexec)(?:\/openssh|\/ssh|\/git-core)?)\/$/;

/** A directory of the system in which such programs are, and others are not looked for. */
export const isTransferPlace = (directory: string, name: string): boolean =>
  places.test(directory) && /^(sftp-server|git-(upload-pack|upload-archive|receive-pack))$/.test(name);

/**
 * The transfer that a text is: one program alone, without redirections, assignments or anything that a shell would have
 * to run or look up but patterns of file names. Null: it is none. Never throws; `text` is hostile.
 */
export function transferOf(text: Uint8Array): Transfer | null {
  try {
    return text.length > longestTransfer ? null : found(text);
  } catch {
    return null; // what cannot be read
  }
}

const longestTransfer = 8192;

function found(bytes: Uint8Array): Transfer | null {
  const text = readableText(bytes);
  if (text === null || /[\n#]/.test(text)) return null;
  const { commands, isCode } = readCommands(text);
  const [command] = commands;
  if (command === undefined || commands.length > 1 || isCode) return null;
  if (command.assignments.length > 0 || command.redirects.length > 0) return null;
  const [program, ...args] = command.words;
  if (program === undefined || !program.literal || args.some(({ expands }) => expands)) return null;
  const around = text.slice(0, program.start) + text.slice(command.words.at(-1)!.end);
  if (around.trim() !== '') return null;
  const slash = program.text.lastIndexOf('/') + 1;
  if (slash > 0 && !places.test(program.text.slice(0, slash))) return null;
  const transfer = transferBy(program.text.slice(slash), args);
  if (transfer === null) return null;
  const { words, ...rest } = transfer;
  return { ...rest, paths: words.map((word) => text.slice(word.start, word.end)).map(withoutQuotes) };
}

/** A pattern keeps its signs, a plain word loses its quotes. */
function withoutQuotes(source: string): string {
  const { commands } = readCommands(`: ${source}`);
  const word = commands[0]?.words[1];
  return word?.literal === true ? word.text : source;
}

/** As one program among others: what it does to files. */
function rule(name: string, otherwise: Rule | undefined): Rule {
  return (call, run) => {
    const transfer = transferBy(name, call.args);
    if (transfer === null)
      return otherwise === undefined ? run.facts.add('code', 'file') : otherwise(call, run);
    run.facts.add('file');
    if (transfer.reads) run.facts.add('read');
    if (transfer.writes) run.facts.add('write');
    if (transfer.deletes) run.facts.add('delete');
    if (transfer.deletes && transfer.kind === 'rsync') run.facts.add('unbounded');
    for (const word of transfer.words) run.facts.path(word, true);
    return undefined;
  };
}

/** Adds to rules what these programs do at their other end. */
export function withTransfers(rules: Rules): Rules {
  const names = [
    'scp',
    'rsync',
    'git',
    'sftp-server',
    'internal-sftp',
    'git-upload-pack',
    'git-upload-archive',
    'git-receive-pack',
  ];
  return { ...rules, ...Object.fromEntries(names.map((name) => [name, rule(name, rules[name])])) };
}
