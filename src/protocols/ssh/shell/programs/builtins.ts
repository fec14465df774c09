/** What a shell does by itself: mostly to its own session. */
import { optionList, readOptions } from '../options.ts';
import { named, type Rule, type Rules } from '../rules.ts';
import { namedBy, type Word } from '../words.ts';

const session: Rule = (_, { facts }) => facts.add('session');

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
  if (!isSure || !plainNames(operands)) facts.add('code');
};

const read: Rule = ({ args }, { facts }) => {
  const { isSure, operands } = readOptions(args, optionList('rsE p: t: n: N: d: u:'));
  facts.add('session');
  if (!isSure || !plainNames(operands)) facts.add('code');
  for (const { text } of operands) if (isTelling(text)) facts.add('code');
};

/** Names that shells and programs obey: any that is exported may be one, but for these. */
const harmless =
  /^(LANG|LANGUAGE|LC_(ALL|COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|TIME)|TZ|TERM|COLUMNS|LINES|NO_COLOR|COLORTERM|DEBIAN_FRONTEND|OLDPWD|GREP_COLOR|GREP_COLORS|CLICOLOR|HOSTNAME|USER|LOGNAME|SYSTEMD_COLORS)$/;
/** Lower-case names that zsh obeys. */
const zshNames =
  /^(path|fpath|cdpath|manpath|mailpath|module_path|fignore|prompt|psvar|watch|argv|status|pipestatus|\w+_functions|precmd|preexec|chpwd)$/;

/** A variable whose value may make something run. Lower case is nobody's but the text's own, until it is exported. */
export function isTelling(name: string, isExported = false): boolean {
  if (harmless.test(name)) return false;
  return isExported || !/^[a-z_][a-z0-9_]*$/.test(name) || zshNames.test(name);
}

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
  ...named(
    'popd dirs jobs fg bg wait disown exit return logout break continue shift times umask ulimit suspend',
    session,
  ),
  ...named('stty clear reset unalias', session),
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
