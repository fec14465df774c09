/** Programs that start another one, and shells. Where what they start is literal, it is seen through. */
import { optionList, readOptions, type Options } from '../options.ts';
import { does, filesIn, named, wrapper, type Rule, type Rules, type Run } from '../rules.ts';
import { foreignWord, isBare, literalWord, namedBy, type Word } from '../words.ts';
import { joined } from './network.ts';

/** What stands before the command of `sudo` and `env`. */
function afterAssignments(words: readonly Word[], run: Run): readonly Word[] {
  let at = 0;
  while (at < words.length && namedBy(words[at]!) !== null) {
    run.environment(namedBy(words[at]!)!, true);
    at += 1;
  }
  return words.slice(at);
}

const has = ({ given }: Options, names: string): boolean => names.split(' ').some((name) => given.has(name));

const sudoOptions = optionList(
  '+ nEHiSskKlvbPB u: g: p: C: h: r: t: T: U: D: --user= --group= --non-interactive --login --shell --stdin --preserve-env? --set-home --list --validate --chdir=',
);

const sudo: Rule = ({ args }, run) => {
  const found = readOptions(args, sudoOptions);
  const words = afterAssignments(found.rest, run);
  run.facts.add('privilege');
  if (!found.isSure || has(found, 'D h --chdir')) run.facts.add('code');
  if (has(found, '--preserve-env') && found.values.has('--preserve-env')) run.facts.add('code');
  // A shell of its own reads the words again, and only variables are left in them.
  if (has(found, 'i s --login --shell') && words.some(({ text }) => text.includes('$')))
    run.facts.add('code');
  if (words.length > 0) return run.command(words);
  if (has(found, 'i s --login --shell')) run.facts.add('shell', 'code');
  else if (has(found, 'l --list')) run.facts.add('read');
  else if (!has(found, 'k K v --validate')) run.facts.add('unknown');
  return undefined;
};

const doasOptions = optionList('+ nsL u: C:');

const doas: Rule = ({ args }, run) => {
  const found = readOptions(args, doasOptions);
  run.facts.add('privilege');
  if (!found.isSure || has(found, 'C')) run.facts.add('code');
  if (found.rest.length > 0) return run.command(afterAssignments(found.rest, run));
  run.facts.add('shell', 'code');
  return undefined;
};

const suOptions = optionList(
  'lmp c: g: G: s: w: --command= --login --shell= --group= --preserve-environment',
);

/** Its shell is that of an account; what follows the account goes to that shell. */
const su: Rule = ({ args }, run) => {
  const found = readOptions(args, suOptions);
  const command = found.values.get('c') ?? found.values.get('--command');
  run.facts.add('privilege');
  const extra = found.operands.filter(({ text }) => text !== '-').length > 1;
  if (!found.isSure || extra || has(found, 's --shell w')) run.facts.add('code');
  if (command === undefined) run.facts.add('shell', 'code');
  else run.text(command);
};

const runuser: Rule = (call, run) => {
  const asUser = call.args.some(({ literal, prefix }) => literal && /^(-u|--user)/.test(prefix));
  if (!asUser) return su(call, run);
  const found = readOptions(call.args, optionList('+ u: g: G: --user= --group='));
  run.facts.add('privilege');
  if (!found.isSure) run.facts.add('code');
  return run.command(found.rest);
};

const envOptions = optionList('+ i0v u: C: --ignore-environment --unset= --chdir= --null');

const env: Rule = ({ args }, run) => {
  const found = readOptions(args, envOptions);
  const isEmpty = isBare(found.rest[0] ?? literalWord(''), '-');
  const words = afterAssignments(isEmpty ? found.rest.slice(1) : found.rest, run);
  if (!found.isSure) run.facts.add('code');
  for (const name of ['C', '--chdir'])
    if (found.values.has(name)) run.facts.path(found.values.get(name)!, true);
  if (words.length === 0) return run.facts.add('read');
  return run.command(words);
};

/** All operands but those before the command. */
const skipping = (options: string, count: number): Rule => wrapper(options, ({ rest }) => rest.slice(count));

const reservedAfterTime =
  /^(?:if|then|elif|else|do|while|until|for|select|case|function|coproc|!|\{|\[\[|fi|done|esac|\})$/;

/** A keyword in bash, a program elsewhere. */
const time: Rule = ({ args }, run) => {
  const found = readOptions(
    args,
    optionList('+ pvVaq f: o: --verbose --portability --format= --output= --append'),
  );
  const [first] = found.rest;
  if (!found.isSure) run.facts.add('code');
  if (has(found, 'o --output')) run.facts.add('write');
  for (const name of ['o', '--output']) if (found.values.has(name)) run.facts.path(found.values.get(name)!);
  if (first === undefined) return run.facts.add('read');
  if (first.assigns !== null || (first.literal && !first.quoted && reservedAfterTime.test(first.text)))
    return run.facts.add('unknown');
  return run.command(found.rest);
};

const xargsOptions = optionList(
  '+ 0rtpxo n: L: P: I: d: E: s: a: i? l? e? --null --no-run-if-empty --max-args= --max-procs= --replace? --delimiter= --arg-file= --max-lines? --verbose --interactive --exit',
);

/** One word, whatever the input is that takes the place of the sign. */
function filled(word: Word, mark: string): Word {
  const isOption = word.text.startsWith(mark) || word.optionLike;
  return { ...foreignWord(word.text.slice(0, word.text.indexOf(mark)), isOption), splits: false };
}

/** Words from its input follow, or stand where the sign of `-I` stands; any of them may be an option. */
const xargs: Rule = ({ args }, run) => {
  const found = readOptions(args, xargsOptions);
  if (!found.isSure) run.facts.add('code');
  for (const name of ['a', '--arg-file']) if (found.values.has(name)) run.facts.path(found.values.get(name)!);
  const sign = found.values.get('I') ?? found.values.get('i') ?? found.values.get('--replace');
  const isReplaced = has(found, 'I i --replace');
  const input = foreignWord('', true);
  if (found.rest.length === 0) return run.command([literalWord('echo'), input]);
  if (!isReplaced) return run.command([...found.rest, input]);
  if (sign !== undefined && (!sign.literal || sign.text === '')) run.facts.add('code');
  const mark = sign?.text ?? '{}';
  return run.command(found.rest.map((word) => (word.text.includes(mark) ? filled(word, mark) : word)));
};

const watch: Rule = ({ args }, run) => {
  const found = readOptions(
    args,
    optionList('+ dtgecbxw n: --interval= --differences? --no-title --exec --color'),
  );
  if (!found.isSure) run.facts.add('code');
  if (has(found, 'x --exec')) run.command(found.rest);
  else run.text(joined(found.rest));
};

const chroot: Rule = ({ args }, run) => {
  const found = readOptions(args, optionList('+ --userspec= --groups= --skip-chdir'));
  const [root, ...words] = found.rest;
  run.facts.add('privilege', 'system');
  // Programs there are others than here.
  run.facts.add('code');
  if (root !== undefined) run.facts.path(root, true);
  if (words.length > 0) return run.command(words);
  return run.facts.add('shell');
};

const elsewhere: Rule = ({ args }, run) => {
  run.facts.add('privilege', 'system', 'code');
  filesIn(
    args.filter(({ prefix }) => prefix.startsWith('/')),
    run.facts,
  );
};

const ionice: Rule = (call, run) => {
  if (call.args.some(({ prefix }) => /^-(-pid|-pgid|-uid|[pPu])/.test(prefix)))
    return run.facts.add('system');
  return wrapper('t c: n: --class= --classdata= --ignore', ({ rest }) => rest)(call, run);
};

const parallel: Rule = ({ args }, run) => {
  const end = args.findIndex(({ prefix }) => prefix.startsWith(':::'));
  const words = readOptions(end < 0 ? args : args.slice(0, end), optionList('+ j: --jobs= k')).rest;
  run.facts.add('code');
  if (words.length > 0) run.command(words);
};

const shellOptions = optionList(
  '+ ceuxlifvnhsbrm o: O: --login --norc --noprofile --posix --noediting -login',
);
const shellFlags = /^[-+][a-zA-Z]*c[a-zA-Z]*$/;

/** `sh -c text`: the text is read; a script, or what comes by a pipe, is not seen. */
const shell: Rule = ({ args, name }, run) => {
  const found = readOptions(args, shellOptions);
  const isText = args.some(({ literal, text }) => literal && shellFlags.test(text)) && has(found, 'c');
  if (!found.isSure || !isText || has(found, 's O i')) run.facts.add('code');
  // Their grammar is another.
  if (/^(fish|csh|tcsh)$/.test(name)) run.facts.add('code');
  if (args.some(({ prefix }) => prefix.startsWith('+'))) run.facts.add('code');
  if (isText) return run.text(found.operands[0]);
  filesIn(found.operands.slice(0, 1), run.facts);
  if (args.length === 0) run.facts.add('shell');
  return undefined;
};

const evaluated: Rule = ({ args }, run) => {
  const words = isBare(args[0] ?? literalWord(''), '--') ? args.slice(1) : args;
  if (words.length === 0) return run.facts.add('session');
  return run.text(joined(words));
};

const source: Rule = ({ args }, run) => {
  run.facts.add('code');
  filesIn(args.slice(0, 1), run.facts);
};

const exec: Rule = ({ args }, run) => {
  const found = readOptions(args, optionList('+ cl a:'));
  if (!found.isSure || has(found, 'a l')) run.facts.add('code');
  run.facts.add('session');
  if (found.rest.length > 0) run.command(found.rest);
};

const command: Rule = ({ args }, run) => {
  const found = readOptions(args, optionList('+ pvV'));
  if (!found.isSure) run.facts.add('code');
  if (has(found, 'v V') || found.rest.length === 0) return run.facts.add('read');
  return run.command(found.rest);
};

const builtin: Rule = ({ args }, run) => {
  if (args.length === 0) return run.facts.add('session');
  return run.command(isBare(args[0]!, '--') ? args.slice(1) : args);
};

const busybox: Rule = ({ args }, run) => {
  if (args.length === 0) return run.facts.add('read');
  if (args[0]!.prefix.startsWith('-')) return run.facts.add('system', 'write');
  return run.command(args);
};

export const wrappers: Rules = {
  sudo,
  doas,
  su,
  runuser,
  env,
  time,
  xargs,
  watch,
  chroot,
  ionice,
  parallel,
  exec,
  command,
  builtin,
  ...named('nsenter unshare systemd-nspawn', elsewhere),
  ...named('nohup', skipping('', 0)),
  ...named('setsid', skipping('cfw --ctty --fork --wait', 0)),
  ...named('nice', skipping('# n: --adjustment=', 0)),
  ...named(
    'timeout',
    skipping('v k: s: --foreground --preserve-status --verbose --kill-after= --signal=', 1),
  ),
  ...named('stdbuf', skipping('i: o: e: --input= --output= --error=', 0)),
  ...named('busybox toybox', busybox),
  ...named('sh bash dash ash zsh ksh mksh rbash fish csh tcsh', shell),
  eval: evaluated,
  ...named('source .', source),
  ...named('screen tmux script expect', does('code', 'shell', 'write')),
};
