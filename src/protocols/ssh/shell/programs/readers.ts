/** Programs that only show something, as long as their options are known not to do more. */
import { optionList, readOptions } from '../options.ts';
import {
  always,
  filesIn,
  named,
  paged,
  reads,
  type Call,
  type Rule,
  type Rules,
  type Run,
} from '../rules.ts';
import type { Word } from '../words.ts';

/** The pattern is no file, unless it is given by an option. */
const grep: Rule = ({ args }, { facts }) => {
  facts.add('read');
  const isGiven = args.some(({ prefix, literal }) => !literal || /^-[a-zA-Z]*[ef]|^--(r|f)/.test(prefix));
  const isTree = args.some(({ prefix }) => /^-[a-zA-Z]*[rR]|^--(rec|deref)/.test(prefix));
  const first = args.findIndex((word) => !word.prefix.startsWith('-') || word.prefix === '-');
  const files = isGiven ? args : args.filter((_, at) => at !== first);
  // A pattern that stands in a variable is none: it would have to be quoted, and could still be an option.
  if (args[first]?.splits === true) facts.add('unknown');
  filesIn(files, facts, isTree);
};

/** The second file is written. */
function secondIsWritten(options: string): Rule {
  const list = optionList(options);
  return ({ args }, { facts }) => {
    const { isSure, operands } = readOptions(args, list);
    facts.add('read');
    if (!isSure) facts.add('code');
    if (operands.length > 1 || operands.some(({ splits }) => splits)) facts.add('write');
    filesIn(args, facts);
  };
}

const dateOptions = optionList(
  'uR d: r: I? --utc --universal --date= --reference= --rfc-3339= --iso-8601? --rfc-email',
);

/** Without `+` before its operand it sets the clock. */
const date: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, dateOptions);
  facts.add('read');
  if (!isSure || operands.some(({ prefix }) => !prefix.startsWith('+'))) facts.add('system');
  filesIn(
    args.filter(({ prefix }) => prefix.includes('/') && !prefix.startsWith('+')),
    facts,
  );
};

const hostOptions = optionList('fsiIdAay --fqdn --long --short --ip-address --all-ip-addresses --domain');

const hostname: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, hostOptions);
  facts.add(isSure && operands.length === 0 ? 'read' : 'system');
};

/** Formats of numbers are arithmetic in zsh and ksh, which can run a command that stands in a variable. */
const printf: Rule = ({ args }, { facts }) => {
  facts.add('read');
  const [format, ...values] = args[0]?.text === '--' ? args.slice(1) : args;
  if (format === undefined) return;
  if (!format.literal || format.optionLike) facts.add('code');
  const isPlain = !/%(?![sbqc%]|-?\d*s)/.test(format.text);
  if (!isPlain && !values.every(({ literal, text }) => literal && /^[-+]?\d+(\.\d+)?$/.test(text)))
    facts.add('code');
};

const unary = new Set([...'bcdefghknprstuwxzGLNOS'].map((letter) => `-${letter}`));
const equal = new Set(['=', '==', '!=']);
const sums = new Set(['-eq', '-ne', '-lt', '-le', '-gt', '-ge', '-v', '-R']);

const isNumber = (word: Word | undefined): boolean =>
  word !== undefined && word.literal && /^-?\d+$/.test(word.text);

/** `test`, `[`, `[[`: an index of an array, or a number that is none, is evaluated and may run a command. */
function condition(words: readonly Word[], { facts }: Run, isSplit: boolean): void {
  facts.add('read');
  // zsh reads the number of a descriptor as arithmetic.
  if (words.some(({ text }, at) => text === '-t' && at + 1 < words.length && !isNumber(words[at + 1])))
    facts.add('code');
  const isMixed = words.some(({ text }) => text === '-a' || text === '-o');
  words.forEach((word, at) => {
    const [before, after] = [words[at - 1], words[at + 1]];
    if (word.literal && sums.has(word.text)) {
      if (/^-[vR]$/.test(word.text) || !isNumber(before) || !isNumber(after)) facts.add('code');
    } else if (!word.literal) {
      const isOperand = [before, after].some((other) => other?.literal === true && equal.has(other.text));
      const isTested = before?.literal === true && unary.has(before.text);
      if ((word.splits && isSplit) || isMixed || (!isOperand && !isTested)) facts.add('code');
    }
    if (before?.literal === true && /^-[bcdefghkprsuwxGLNOS]$/.test(before.text)) facts.path(word);
  });
}

const test: Rule = ({ args }, run) => condition(args, run, true);
const bracket: Rule = ({ args, name }, run) => {
  const last = args.at(-1);
  if (last === undefined || !last.literal || last.text !== (name === '[' ? ']' : ']]'))
    run.facts.add('unknown');
  condition(args.slice(0, -1), run, name === '[');
};

/** Any option of these is harmless. */
const harmless =
  'ls dir vdir cat df du wc cut paste comm nl tac rev readlink realpath sum cksum md5sum sha1sum ' +
  'sha224sum sha256sum sha384sum sha512sum b2sum base64 base32 basenc od fold fmt expand unexpand join pr tsort ' +
  'zcat bzcat xzcat hexdump hd column getfacl getcap lsattr namei findmnt lsblk lspci lsusb last';
const wordsOnly =
  'id whoami uname tr basename dirname pwd true false seq sleep expr groups logname users tty uptime free nproc ' +
  'arch hostid echo numfmt factor printenv yes lscpu lsmod modinfo pstree ps pgrep pidof vmstat mpstat iostat w who ' +
  'which whereis locale getent cal netstat atq lastb lslocks lsns lsipc lsmem';

const pager = reads('NRSFXniIM # --no-init --quit-if-one-screen --RAW-CONTROL-CHARS --chop-long-lines');

/** A key, or a command given at the start, makes it run something. */
const less: Rule = (call, run) => {
  pager(call, run);
  if (call.args.some(({ prefix }) => prefix.startsWith('+'))) run.facts.add('code');
};

const dmesgOptions = optionList('TtxkuwWrJ l: f: --ctime --level= --facility= --kernel --follow');

/** It can clear what the kernel has said, and set what it says. */
const dmesg: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, dmesgOptions);
  facts.add(isSure && operands.length === 0 ? 'read' : 'system');
};

/** A page of a name; a file's page is formatted by programs that it may choose. */
const man: Rule = ({ args }, { facts }) => {
  facts.add('read');
  if (!args.every(({ literal, text }) => literal && /^[\w.+:][\w.+:-]*$/.test(text))) facts.add('code');
};

const top: Rule = ({ args }, { facts }) => {
  const isBatch = args.every(({ literal }) => literal) && args.some(({ text }) => /^-[a-zA-Z]*b/.test(text));
  facts.add('read');
  if (!isBatch) facts.add('code', 'system');
};

const onlyNames = (rule: Rule, isName: RegExp): Rule => {
  return (call: Call, run: Run) => {
    rule(call, run);
    if (!call.args.every(({ literal, text }) => literal && isName.test(text))) run.facts.add('code');
  };
};

export const readers: Rules = {
  ...named(harmless, always()),
  ...named(wordsOnly, always('words')),
  ...named('grep egrep fgrep jq', grep),
  ...named(
    'uniq',
    secondIsWritten('cdDiuz f: s: w: --count --repeated --unique --ignore-case --skip-fields='),
  ),
  ...named('xxd', secondIsWritten('bpuiEr c: l: s: g:')),
  ...named(
    'sort',
    reads('bcCdfghiMnRruVzms k: t: S: --key= --reverse --numeric-sort --unique --human-numeric-sort'),
  ),
  ...named('shuf', reads('ezr n: i: --head-count= --input-range=')),
  ...named(
    'diff',
    reads('abBcdeEHiNqrstTuwy U: C: W: x: --brief --color? --recursive --unified? --ignore-all-space'),
  ),
  ...named('cmp', reads('bls i: n: --silent --quiet --verbose')),
  ...named('strings', reads('adf n: t: e: # --all --bytes= --radix=')),
  ...named('file', reads('bhikLNprs0 --brief --mime --mime-type --mime-encoding --dereference')),
  ...named('lsof', reads('nPtlavRU i? p: u: c: d: s?', 'words')),
  ...named(
    'ss',
    reads('antulpHresmoiOx460 --all --listening --tcp --udp --numeric --processes --summary', 'words'),
  ),
  ...named('less more', paged(less)),
  head: reads('qvz n: c: # --lines= --bytes= --quiet --verbose'),
  tail: reads('qvzfF n: c: s: # --lines= --bytes= --follow? --retry --pid= --quiet --verbose'),
  stat: reads('Lft c: --format= --printf= --file-system --dereference --terse'),
  dmesg,
  man: paged(man),
  top,
  date,
  hostname,
  printf,
  test,
  '[': bracket,
  '[[': bracket,
  // A terminal's description may name programs to prepare it.
  tput: onlyNames(always('words'), /^(cols|lines|colors|setaf|setab|bold|sgr0|el|cuu1|\d+)$/),
  zstdcat: reads('qv', 'files'),
  getconf: onlyNames(always('words'), /^(-a|\w+|\/[\w/.-]*)$/),
};
