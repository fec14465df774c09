/** Programs that talk to other machines, and those that command other machines, containers and databases. */
import type { Effect } from '../../../../model/command-facts.ts';
import { optionList, readOptions, type Options } from '../options.ts';
import { acts, filesIn, limited, named, type Rule, type Rules, type Run } from '../rules.ts';
import { literalWord, type Word } from '../words.ts';

const curlOptions = optionList(
  'sSLfkIivgG460# H: d: X: u: A: e: m: b: o: O T: F: r: w: y: Y: J D: c: C: z: x: --silent --show-error --location --fail --insecure --head --include --verbose --compressed --header= --data= --data-raw= --data-binary= --data-urlencode= --request= --user= --user-agent= --max-time= --connect-timeout= --retry= --output= --remote-name --upload-file= --form= --write-out= --url= --get --http1.1 --http2 --resolve= --proxy= --range= --json= --cacert= --cert= --key= --dump-header= --cookie= --cookie-jar= --fail-with-body --no-progress-meter --progress-bar --create-dirs --output-dir=',
);
const curlWrites = [
  'o',
  'O',
  'J',
  'D',
  'c',
  '--output',
  '--remote-name',
  '--dump-header',
  '--cookie-jar',
  '--output-dir',
  'w',
  '--write-out',
];
const curlSends = ['T', '--upload-file'];

/** Values that name files: alone, or after a `@`. */
function fileValues({ values }: Options, facts: Run['facts'], names: readonly string[]): void {
  for (const [name, value] of values) {
    const at = /^[^@</]*[@<]/.exec(value.prefix)?.[0].length ?? 0;
    if (names.includes(name) && value.text !== '-') facts.path(value);
    else if (at > 0) {
      const cut = (text: string): string => text.slice(at);
      facts.add('file');
      facts.path({ ...value, text: cut(value.text), prefix: cut(value.prefix) });
    } else if (value.prefix.startsWith('/')) facts.path(value);
  }
}

/** Also what is sent out of a file, and `file:` itself. */
function localAddresses(operands: readonly Word[], facts: Run['facts']): void {
  for (const { prefix } of operands) {
    const path = /^file:(?:\/\/[^/]*)?(.*)$/i.exec(prefix)?.[1];
    if (path !== undefined) facts.pathText(path);
    if (path !== undefined && /[%{}[\]]/.test(path)) facts.add('unknown');
  }
}

const curl: Rule = ({ args }, { facts }) => {
  const found = readOptions(args, curlOptions);
  facts.add('network', 'read');
  if (!found.isSure) facts.add('code');
  if (curlWrites.some((name) => found.given.has(name))) facts.add('write', 'file');
  if (curlSends.some((name) => found.given.has(name))) facts.add('file');
  // What it fetches by itself besides.
  if (found.operands.some(({ literal, text }) => !literal || /^(file|dict|gopher|scp|sftp):/i.test(text)))
    facts.add('file');
  fileValues(found, facts, [
    ...curlWrites.filter((name) => !/w/.test(name) && name !== '--output-dir'),
    ...curlSends,
  ]);
  localAddresses(
    [...found.operands, ...(found.values.has('--url') ? [found.values.get('--url')!] : [])],
    facts,
  );
};

const wgetOptions = optionList(
  'qvScNrkpEHLx4 O: P: t: T: U: i: o: a: -nv -nc -nd -nH -np --quiet --no-verbose --output-document= --directory-prefix= --tries= --timeout= --user-agent= --header= --no-check-certificate --continue --spider --post-data= --post-file= --body-file= --method= --input-file= --server-response --max-redirect= --content-disposition',
);

const wget: Rule = ({ args }, { facts }) => {
  const found = readOptions(args, wgetOptions);
  const target = found.values.get('O') ?? found.values.get('--output-document');
  facts.add('network', 'read');
  if (!found.isSure) facts.add('code');
  if (!(target?.literal === true && target.text === '-') || found.given.has('o') || found.given.has('a'))
    facts.add('write', 'file');
  if (found.given.has('--post-file') || found.given.has('--body-file')) facts.add('file');
  fileValues(found, facts, [
    'O',
    '--output-document',
    'i',
    '--input-file',
    'o',
    'a',
    '--post-file',
    '--body-file',
    'P',
  ]);
};

const nc: Rule = limited('46bdhklnNrStuvzDC w: p: s: i: q: W:', 'words', ['network']);

const sshOptions = optionList(
  '+ 46AaCfGgKkNnqsTtvXxYy b: c: D: E: e: i: J: L: l: m: o: p: R: S: W: w: Q: O: F: I: P: B:',
);
const sshSettings =
  /^(StrictHostKeyChecking|BatchMode|ConnectTimeout|ServerAlive\w+|LogLevel|Port|User|UserKnownHostsFile|IdentitiesOnly|IdentityFile|PasswordAuthentication)[= ]/i;

/** Values of `-o`; null for one that is not plain. */
function settingsOf(options: readonly Word[]): readonly (string | null)[] {
  return options.flatMap((word, at) => {
    const own = /^-([46AaCfGgKkNnqsTtvXxYy]*)o(.*)$/s.exec(word.prefix);
    if (own === null) return [];
    const value = own[2] === '' ? options[at + 1] : word;
    if (value === undefined || !value.literal || (own[1] !== '' && own[2] !== '')) return [null];
    return [own[2] === '' ? value.text : own[2]!];
  });
}

const ssh: Rule = ({ args }, run) => {
  const { facts } = run;
  const { isSure, given, values, rest } = readOptions(args, sshOptions);
  facts.add('network');
  const isPlain = settingsOf(args.slice(0, args.length - rest.length)).every(
    (setting) => setting !== null && sshSettings.test(setting),
  );
  const unusual = ['F', 'E', 'S', 'I', 'O', 'J', 'e', 'P', 'w'];
  if (!isSure || !isPlain || unusual.some((letter) => given.has(letter))) facts.add('code');
  if (['L', 'R', 'D', 'W', 'w', 'A', 'X', 'Y', 'J'].some((letter) => given.has(letter))) facts.add('forward');
  for (const letter of ['i', 'F', 'E', 'S']) if (values.has(letter)) facts.path(values.get(letter)!);
  const [host, ...command] = rest;
  if (host === undefined || !host.literal || host.text.startsWith('-')) facts.add('code');
  // Options may follow the host.
  if (command[0]?.optionLike === true) facts.add('code');
  if (command.length === 0) return void facts.add(given.has('N') ? 'session' : 'shell');
  run.text(joined(command));
  return undefined;
};

/** As ssh, eval and watch give words to a shell. */
export function joined(words: readonly Word[]): Word | undefined {
  const isLiteral = words.every(({ literal }) => literal);
  return isLiteral ? literalWord(words.map(({ text }) => text).join(' ')) : undefined;
}

/** Files here, and those of the other machine without its name. */
function ends(args: readonly Word[], { facts }: Run): void {
  for (const word of args) {
    const remote = /^[\w.@-]+::?(.*)$/s.exec(word.prefix)?.[1];
    if (remote !== undefined) facts.pathText(remote, true);
    else filesIn([word], facts, true);
  }
}

const scp: Rule = (call, run) => {
  limited('346BCpqrTv c: i: l: P:', 'words', ['network', 'read', 'write', 'file'])(call, run);
  ends(call.args, run);
};

const rsyncOptions =
  'avzrlptgoDnhPqcuWxHAXSRiIJKLUOdkmy4 6 --archive --verbose --compress --recursive --delete --delete-after --delete-before --delete-during --delete-excluded --exclude= --include= --dry-run --progress --stats --partial --inplace --checksum --bwlimit= --human-readable --itemize-changes --numeric-ids --update --existing --size-only --timeout= --info= --chmod= --chown= --no-owner --no-group --no-perms';

const rsync: Rule = (call, run) => {
  const { args } = call;
  limited(rsyncOptions, 'words', ['read', 'write', 'file'])(call, run);
  if (args.some(({ literal, text }) => !literal || (!text.startsWith('-') && text.includes(':'))))
    run.facts.add('network');
  if (args.some((word) => word.prefix.startsWith('--del') || word.splits))
    run.facts.add('delete', 'unbounded');
  if (args.some(({ prefix }) => /^--ch(mod|own)/.test(prefix))) run.facts.add('privilege');
  ends(
    args.filter(({ prefix }) => !/^-(?!-)/.test(prefix)),
    run,
  );
};

/** Of the first operand. Options before it decide where it goes, so that only few are known. */
function verbs(options: string, table: readonly (readonly [RegExp, readonly Effect[]])[]): Rule {
  const list = optionList(`+ ${options}`);
  return ({ args }, { facts }) => {
    const { isSure, operands } = readOptions(args, list);
    const [verb, second] = operands;
    const text = verb?.literal === true ? `${verb.text} ${second?.text ?? ''}` : '';
    const found = table.find(([pattern]) => pattern.test(text));
    facts.add(...(found?.[1] ?? (['code'] as const)));
    if (!isSure) facts.add('code');
    for (const { prefix } of operands)
      for (const part of prefix.split(/[:=,]/)) if (part.includes('/')) facts.pathText(part);
  };
}

const containers = verbs('D --debug', [
  [/^(ps|images|inspect|logs|version|info|stats|top|port|diff|history|events) /, ['read']],
  [/^(system|volume|image|container|builder) prune/, ['delete', 'unbounded', 'system']],
  [
    /^(container|image|network|volume|system|context|node|service|stack) (ls|list|inspect|ps|logs|df|stats|top)$/,
    ['read'],
  ],
  [/^(rm|rmi) |^(container|image|network|volume|system|builder) (rm|prune)$/, ['delete', 'system']],
  [
    /^(stop|kill|restart|start|pause|unpause|rename|update|wait|tag) |^(container) (stop|kill|restart|start)$/,
    ['system'],
  ],
  [/^(pull|push|login|logout|search) /, ['network']],
  [/^(cp|save|export|load|import|commit) /, ['write', 'file']],
]);

const cluster = verbs('n: --namespace= --context=', [
  [/^(get|describe|logs|top|version|api-resources|api-versions|explain|cluster-info) /, ['network', 'read']],
  [/^delete /, ['network', 'delete', 'system']],
  [/^(scale|rollout|cordon|uncordon|drain|taint) /, ['network', 'system']],
  [
    /^(apply|create|patch|replace|edit|set|label|annotate|expose|autoscale) /,
    ['network', 'write', 'system', 'code'],
  ],
  [/^(port-forward|proxy) /, ['network', 'forward', 'code']],
  [/^cp /, ['network', 'file', 'write', 'read', 'code']],
]);

/** A repository's own settings name programs, for a mere status too. */
const git: Rule = ({ args }, { facts }) => {
  const verb = args.find(
    ({ prefix }, at) => !prefix.startsWith('-') && !/^-[cC]$/.test(args[at - 1]?.prefix ?? ''),
  );
  const text = verb?.literal === true ? verb.text : '';
  facts.add('code', 'read');
  if (/^(fetch|pull|clone|push|ls-remote|submodule|remote)$/.test(text)) facts.add('network');
  if (
    !/^(status|log|diff|show|blame|describe|rev-parse|ls-files|ls-tree|ls-remote|shortlog|grep)$/.test(text)
  )
    facts.add('write');
  if (/^(clean|reset|rm)$/.test(text)) facts.add('delete');
  filesIn(
    args.filter(({ prefix }) => prefix.startsWith('/') || prefix.startsWith('-')),
    facts,
    true,
  );
};

const lookups: Rule = limited('46nvqaCrRUbdAfhtTx c: i: w: W: s: p: q: m: I:', 'words', ['network', 'read']);
const traces: Rule = limited('46nFIdTr w: q: m: f: p: l:', 'words', ['network', 'read']);

export const network: Rules = {
  curl,
  wget,
  ...named('nc ncat netcat', nc),
  ssh,
  scp,
  rsync,
  ...named('sftp ftp tftp lftp telnet rsh rlogin rexec mosh autossh', acts('network', 'file', 'code')),
  ...named('socat nmap mtr', acts('network', 'code')),
  ...named('ping ping6 host whois nslookup arping', lookups),
  ...named('traceroute tracepath traceroute6', traces),
  dig: (call, run) => {
    run.facts.add('network', 'read');
    filesIn(
      call.args.filter(({ prefix }) => prefix.includes('/')),
      run.facts,
    );
    if (call.args.some(({ literal, prefix }) => !literal || /^-[fk]/.test(prefix))) run.facts.add('unknown');
  },
  ...named('docker podman nerdctl', containers),
  ...named('kubectl oc', cluster),
  ...named('psql mysql mariadb mongo mongosh redis-cli clickhouse-client sqlplus', acts('network', 'code')),
  git,
};
