/** What a shell does by itself: mostly to its own session. */
import { optionList, readOptions } from '../options.ts';
import { named, type Rule, type Rules } from '../rules.ts';
import { isTelling } from '../variables.ts';
import { namedBy, type Word } from '../words.ts';

const session: Rule = (_, { facts }) => facts.add('session');

/** Only with arguments that are known to be plain: numbers are arithmetic in zsh and ksh, `jobs -x` runs a command. */
const plain = (pattern: RegExp): Rule => {
  return ({ args }, { facts }) => {
    facts.add('session');
    if (!args.every(({ literal, text }) => literal && pattern.test(text))) facts.add('code');
  };
};

const cd: Rule = ({ args }, { facts }) => {
  facts.add('session');
  for (const word of args)
    if (!/^-[LPe@]*$|^-$|^[-+]\d+$/.test(word.text) || !word.literal) facts.path(word, true);
};

/** Names with an index are evaluated: `unset 'a[$(command)]'`. */
const plainNames = (words: readonly Word[]): boolean =>
  words.every(({ literal, text }) => literal && /^[A-Za-z_]\w*$/.test(text));

const unset: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, optionList('vfn'));
  facts.add('session');
  if (!isSure || !plainNames(operands) || operands.some(({ text }) => isTelling(text))) facts.add('code');
};

const read: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, optionList('rsE p: t: n: N: d: u:'));
  facts.add('session');
  if (!isSure || !plainNames(operands)) facts.add('code');
  for (const { text } of operands) if (isTelling(text)) facts.add('code');
};

const declare: Rule = ({ args, name }, { facts }) => {
  const { isSure, given, operands } = readOptions(args, optionList('rxp'));
  const isExported = name === 'export' || given.has('x');
  const names = operands.map((word) => namedBy(word) ?? (plainNames([word]) ? word.text : null));
  facts.add(operands.length === 0 ? 'read' : 'session');
  if (!isSure || names.some((each) => each === null || isTelling(each, isExported))) facts.add('code');
};

const options = /^[-+][eufxvCh]*o?$/;
const settings = /^(errexit|nounset|pipefail|xtrace|noglob|verbose|noclobber|emacs|vi)$/;

/** Words of other kinds are variables to fish and csh. */
const set: Rule = ({ args }, { facts }) => {
  facts.add(args.length === 0 ? 'read' : 'session');
  if (!args.every(({ literal, text }) => literal && (options.test(text) || settings.test(text))))
    facts.add('code');
};

const trap: Rule = ({ args }, run) => {
  run.facts.add('session');
  const [action] = args;
  if (action === undefined || /^-[lp]$/.test(action.text)) return;
  run.facts.add('code');
  if (action.literal && action.text !== '-' && action.text !== '') run.text(action);
};

const hash: Rule = ({ args }, { facts }) => {
  facts.add('session');
  if (!args.every(({ literal, text }) => literal && /^(-r|-t|-l|\w+)$/.test(text))) facts.add('code');
};

const history: Rule = ({ args }, { facts }) => {
  facts.add(args.every(({ literal, text }) => literal && /^\d+$/.test(text)) ? 'read' : 'session');
  if (args.some(({ literal, text }) => !literal || /^-[a-z]*[awrnp]/.test(text))) facts.add('write');
};

const code: Rule = (_, { facts }) => facts.add('code', 'session');

export const builtins: Rules = {
  ...named('cd chdir pushd', cd),
  ...named('popd dirs jobs fg bg wait disown suspend times', plain(/^([-+]?\d+|%[\w+%-]*|-[lnrsafhcv])$/)),
  ...named('exit return logout break continue shift', plain(/^\d+$/)),
  ulimit: plain(/^(-[a-zA-Z]+|\d+|unlimited|hard|soft)$/),
  umask: plain(/^(-[Sp]+|[0-7]{1,4}|[ugoa]*[-+=][rwxXst]*(,[ugoa]*[-+=][rwxXst]*)*)$/),
  unalias: plain(/^[\w-]+$/),
  ...named('stty clear', session),
  ...named('type help', (_, { facts }) => facts.add('read')),
  ':': (_, { facts }) => facts.add('read'),
  unset,
  read,
  ...named('export declare typeset readonly local', declare),
  set,
  trap,
  hash,
  history,
  ...named(
    'alias shopt enable bind complete compgen compopt mapfile readarray let getopts fc caller coproc setopt',
    code,
  ),
};
