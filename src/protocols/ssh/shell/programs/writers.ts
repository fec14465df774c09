/** Programs that write, remove, find and edit files. */
import { optionList, readOptions } from '../options.ts';
import { isDevice } from '../paths.ts';
import { does, filesIn, named, paged, reads, type Rule, type Rules } from '../rules.ts';
import { foreignWord, type Word } from '../words.ts';

const hasOption = (args: readonly Word[], pattern: RegExp): boolean =>
  args.some((word) => (word.literal ? pattern.test(word.text) : word.optionLike));

/** Letters or a long name that means everything below; nobody knows what a variable holds. */
export const isRecursive = (args: readonly Word[], pattern = /^-[a-zA-Z]*[rR]|^--rec/): boolean =>
  hasOption(args, pattern) || hasOption(args, /^--r?e?$/);

const rm: Rule = ({ args }, { facts }) => {
  const isTree = isRecursive(args);
  facts.add('delete');
  // `*` alone is everything in a directory.
  if (isTree || args.some((word) => !word.literal && /(^|\/)\*$/.test(word.text))) facts.add('unbounded');
  filesIn(args, facts, isTree);
};

const writes: Rule = ({ args, name }, { facts }) => {
  facts.add('write');
  if (args.some(({ prefix }) => isDevice(prefix))) facts.add('system');
  filesIn(args, facts, name === 'cp' && isRecursive(args, /^-[a-zA-Z]*[rRa]|^--(rec|arch)/));
};

/** Ownership and modes with the copy; a program of its own to strip what it copies. */
const install: Rule = (call, run) => {
  writes(call, run);
  if (hasOption(call.args, /^-[a-zA-Z]*[mog]|^--(mode|owner|group)/)) run.facts.add('privilege');
  if (hasOption(call.args, /^-[a-zA-Z]*s|^--strip/)) run.facts.add('code');
};

const dd: Rule = ({ args }, { facts }) => {
  facts.add('read');
  for (const word of args) {
    const value = /^(if|of)=(.*)$/s.exec(word.prefix);
    const isOutput = word.literal ? value?.[1] === 'of' : true;
    if (isOutput) facts.add('write');
    const target = value?.[2] ?? '';
    if (!word.literal || (isOutput && isDevice(target))) facts.add('system');
    if (value !== null) facts.path({ ...word, text: target, prefix: target });
  }
};

const findTests = new Set(
  (
    '-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname -type -xtype -size -mtime -mmin ' +
    '-atime -amin -ctime -cmin -newer -anewer -cnewer -newermt -user -group -uid -gid -perm -links -inum -samefile ' +
    '-fstype -used -maxdepth -mindepth -regextype -printf'
  ).split(' '),
);
const findFlags = new Set(
  (
    '-print -print0 -ls -prune -quit -empty -true -false -not -a -and -o -or ! ( ) , -depth -d -mount -xdev -follow ' +
    '-readable -writable -executable -nouser -nogroup -noleaf -daystart -H -L -P'
  ).split(' '),
);
const runs = new Set(['-exec', '-execdir', '-ok', '-okdir']);

const find: Rule = ({ args }, run) => {
  const { facts } = run;
  facts.add('read');
  const isSafeStart = args.every((word) => word.literal || !word.optionLike);
  let isStart = true;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at]!;
    const { text } = word;
    isStart &&= !/^[-!(,]/.test(word.prefix) || /^-[HLP]$/.test(text);
    if (!word.literal || isStart) {
      if (word.optionLike && !findFlags.has(text)) facts.add('code');
      if (isStart) facts.path(word, true);
    } else if (runs.has(text)) {
      const end = args.findIndex(
        (other, place) => place > at && other.literal && (other.text === ';' || isPlusEnd(args, place)),
      );
      findRuns(args.slice(at + 1, end < 0 ? args.length : end), isSafeStart, run);
      if (end < 0) facts.add('unknown');
      at = end < 0 ? args.length : end;
    } else if (findTests.has(text)) at += 1;
    else if (text === '-delete') facts.add('delete', 'unbounded');
    else if (/^-f(print0?|ls|printf)$/.test(text)) {
      facts.add('write');
      if (args[at + 1] !== undefined) facts.path(args[at + 1]!);
      at += text === '-fprintf' ? 2 : 1;
    } else if (!findFlags.has(text) && !/^-O\d$/.test(text)) facts.add('code');
    // The value of a test may not be an option, or become several words.
    if (args[at]?.splits === true && at < args.length) facts.add('code');
  }
};

const isPlusEnd = (args: readonly Word[], at: number): boolean =>
  args[at]!.text === '+' && args[at - 1]!.text === '{}';

/** The command runs for every file found, so it changes many; a file's name is no option when the start is none. */
function findRuns(words: readonly Word[], isSafeStart: boolean, run: Parameters<Rule>[1]): void {
  const { effects } = run.facts;
  const had = (['delete', 'write', 'privilege'] as const).filter((effect) => effects.has(effect));
  for (const effect of had) effects.delete(effect);
  const filled = words.map((word) =>
    word.text.includes('{}')
      ? { ...foreignWord('', !isSafeStart), isPipe: isSafeStart && word.text === '{}' }
      : word,
  );
  run.command(filled);
  if (effects.has('delete') || effects.has('write') || effects.has('privilege')) run.facts.add('unbounded');
  run.facts.add(...had);
}

const sedOptions = optionList(
  'nErsuz i? e: l: --quiet --silent --regexp-extended --expression= --separate --unbuffered --null-data --in-place? --posix',
);
const address = String.raw`(?:\d+(?:~\d+)?|\$|/(?:[^/\\\n]|\\[^\n])*/I?)`;
const replacement = String.raw`s([/|#,@:%+_])(?:(?!\1)[^\\\n]|\\.)*\1(?:(?!\1)[^\\\n]|\\[^\n])*\1[gpIi\d]*`;
const sedStep = new RegExp(
  String.raw`[\s;]*(?:(?:${address}(?:,\s*(?:${address}|\+\d+))?\s*!?\s*)?(?:[pdq=NnDPhHgGx]|${replacement})\s*(?:[;\n]|$)|$)`,
  'y',
);

/** A sign that ends a pattern in brackets ends it for one sed and not for another. */
function bracketsHoldEnds(script: string): boolean {
  const signs = [...'/|#,@:%+_'].filter((sign) => sign === '/' || script.includes(`s${sign}`));
  return [...script.matchAll(/\[\^?\]?[^\]]*/g)].some(([inside]) =>
    signs.some((sign) => inside.includes(sign)),
  );
}

/** Every step of the script is one that only prints, deletes lines or replaces text in what is printed. */
function isPlainScript(script: string): boolean {
  if (script.length > 512 || bracketsHoldEnds(script)) return false;
  sedStep.lastIndex = 0;
  while (sedStep.lastIndex < script.length) if (!sedStep.test(script)) return false;
  return true;
}

const sed: Rule = ({ args }, { facts }) => {
  const { isSure, given, values, operands } = readOptions(args, sedOptions);
  const isGiven = given.has('e') || given.has('--expression');
  const scripts = [values.get('e'), values.get('--expression'), isGiven ? undefined : operands[0]];
  const count = args.filter(({ prefix }) => /^(-[a-zA-Z]*e|--expression)/.test(prefix)).length;
  facts.add('read');
  const known = scripts.filter((script) => script !== undefined);
  const isPlain = known.every((script) => script.literal && isPlainScript(script.text));
  if (!isSure || !isPlain || known.length === 0 || count > 1) facts.add('code');
  if (given.has('i') || given.has('--in-place')) facts.add('write');
  filesIn(isGiven ? operands : operands.slice(1), facts);
};

const awkOptions = optionList('+ F: v: --field-separator= --assign=');

/** A program in which nothing can write, start something or read what is not named. */
const awk: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, awkOptions);
  const [program, ...files] = operands;
  facts.add('read');
  const isPlain =
    program !== undefined &&
    program.literal &&
    !/[|>@`]|system|getline|ARG|load|include|close|fflush/.test(program.text);
  // Some look for options after the program too.
  if (!isSure || !isPlain || files.some(({ optionLike }) => optionLike)) facts.add('code');
  filesIn(files, facts);
};

const tarOptions = optionList(
  'ctxzjJvpkhSO f: C: --create --list --extract --get --gzip --bzip2 --xz --verbose --file= --directory= --exclude= --strip-components=',
);

const tar: Rule = ({ args }, { facts }) => {
  const [first, ...rest] = args;
  const isOld = first !== undefined && first.literal && /^[a-zA-Z]+$/.test(first.text);
  const words = isOld
    ? [{ ...first, text: `-${first.text}`, prefix: `-${first.text}`, optionLike: true }, ...rest]
    : args;
  const { isSure, given, values, operands } = readOptions(words, tarOptions);
  const archive = values.get('f') ?? values.get('--file');
  const has = (...names: readonly string[]): boolean => names.some((name) => given.has(name));
  facts.add('read');
  // An archive of another machine is read by a program of its own.
  if (
    !isSure ||
    archive?.prefix.includes(':') === true ||
    !has('c', 't', 'x', '--create', '--list', '--extract', '--get')
  )
    facts.add('code', 'write');
  if (has('x', '--extract', '--get') && !has('O')) facts.add('write');
  if (has('c', '--create') && archive?.text !== '-') facts.add('write');
  if (archive !== undefined && archive.text !== '-') facts.path(archive);
  for (const word of [values.get('C'), values.get('--directory')])
    if (word !== undefined) facts.path(word, true);
  for (const word of operands) facts.path(word, true);
};

const packerOptions = optionList(
  'cdfkltnNqvr0123456789 --stdout --decompress --keep --list --test --force --quiet',
);

/** Replaces the file, unless it only shows what would be in it. */
const packer: Rule = ({ args }, { facts }) => {
  const { isSure, given } = readOptions(args, packerOptions);
  const isRead = ['c', 'l', 't', '--stdout', '--list', '--test'].some((option) => given.has(option));
  facts.add(isSure && isRead ? 'read' : 'write');
  filesIn(args, facts);
};

const unzip: Rule = ({ args }, { facts }) => {
  const isRead = args.some(({ literal, text }) => literal && /^-[lptZ]+$/.test(text));
  facts.add('read');
  if (!isRead || args.some(({ splits }) => splits)) facts.add('write');
  filesIn(args, facts);
};

const coded = (rule: Rule, pattern: RegExp): Rule => {
  return (call, run) => {
    rule(call, run);
    if (hasOption(call.args, pattern)) run.facts.add('code');
  };
};

const isMode = ({ literal, text }: Word): boolean =>
  literal && /^([0-7]+|[ugoa]*[-+=][rwxXstugo,+=-]*)$/.test(text);

/** A change of many when it goes down a tree. The first operand is the mode or the owner, unless another file's are taken. */
const owners: Rule = ({ args, name }, { facts }) => {
  const isTree = isRecursive(args, /^-[a-zA-Z]*R|^--rec/);
  const isTaken = args.some(({ prefix }) => prefix.startsWith('--ref'));
  const operands = args.filter(({ prefix }) => !prefix.startsWith('-'));
  const [first] = operands;
  const isFirst =
    first !== undefined &&
    (name === 'chmod' ? isMode(first) : /^ch(own|grp)$/.test(name) && operands.length > 1);
  facts.add('privilege');
  if (isTree) facts.add('unbounded');
  filesIn(isFirst && !isTaken ? args.filter((word) => word !== first) : args, facts, isTree);
};

export const writers: Rules = {
  rm,
  ...named('rmdir unlink', does('delete')),
  shred: (call, run) => {
    writes(call, run);
    run.facts.add('delete');
  },
  ...named('cp mv ln link touch mkdir mktemp truncate tee mkfifo fallocate sponge csplit', writes),
  mknod: does('write', 'system'),
  split: coded(writes, /^--fi/),
  install,
  dd,
  find,
  sed,
  ...named('awk gawk mawk nawk', awk),
  tar,
  ...named('gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd', packer),
  unzip,
  zip: coded(does('read', 'write'), /^-[a-zA-Z]*T|^--(te|unz)|^-@/),
  ...named('chmod chown chgrp setfacl chattr setcap', owners),
  ...named(
    'vi vim nvim view vimdiff nano pico emacs ed ex joe mcedit mc visudo vipw vigr sudoedit',
    does('write', 'code'),
  ),
  ...named('patch', does('write', 'code')),
  ...named('rename', does('write', 'code')),
  ...named('logger', does('write')),
  ...named('bat', paged(reads('n p'))),
};
