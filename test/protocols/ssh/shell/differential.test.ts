/**
 * What bash and dash really start of generated texts is among the programs that were told, or the text is `code` or
 * `unknown`. They run in an empty directory, with nothing in PATH but stand-ins that write down their names.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { openShellClassifier } from '../../../../src/relay/shell-grammar.ts';

const classifier = await openShellClassifier();
const shells = ['/bin/bash', '/bin/dash'].filter((shell) => existsSync(shell));
const names = ['ls', 'cat', 'id', 'rm', 'sort', 'grep', 'touch', 'alpha', 'beta'];
/** These do what they are for. */
const real = ['env', 'nohup', 'nice', 'timeout', 'xargs', 'bash', 'sh'];

let place = '';
let runs = 0;

before(() => {
  place = mkdtempSync(path.join(tmpdir(), 'hoop-shell-'));
  const programs = path.join(place, 'bin');
  mkdirSync(programs);
  const write = (name: string, text: string): void => {
    writeFileSync(path.join(programs, name), `#!/bin/sh\necho ${name} >> "$HOOP_LOG"\n${text}\n`);
    chmodSync(path.join(programs, name), 0o755);
  };
  for (const name of names) write(name, 'echo x');
  for (const name of real) if (existsSync(`/usr/bin/${name}`)) write(name, `exec /usr/bin/${name} "$@"`);
});

after(() => rmSync(place, { recursive: true, force: true }));

function startedBy(shell: string, text: string): readonly string[] {
  // What an earlier one has left in the background writes elsewhere.
  runs += 1;
  const work = path.join(place, `work-${runs}`);
  const log = path.join(place, `log-${runs}`);
  mkdirSync(work);
  spawnSync(shell, ['-c', text], {
    cwd: work,
    env: { PATH: path.join(place, 'bin'), HOME: work, HOOP_LOG: log },
    stdio: ['ignore', 'ignore', 'ignore'],
    timeout: 2000,
    killSignal: 'SIGKILL',
  });
  return existsSync(log)
    ? [...new Set(readFileSync(log, 'utf8').split('\n'))].filter((name) => name !== '')
    : [];
}

/** How a name may be written. */
const written = fc
  .constantFrom(...names)
  .chain((name) =>
    fc.constantFrom(
      name,
      name,
      `\\${name}`,
      `'${name}'`,
      `"${name}"`,
      `${name[0]}''${name.slice(1)}`,
      `${name[0]}"${name.slice(1)}"`,
      `$'${name}'`,
      `$(echo ${name})`,
      `{${name},x}`,
    ),
  );
const argument = fc.constantFrom(
  'a',
  '-r',
  "'a b'",
  '"a;id"',
  '"$x"',
  '$x',
  '*',
  '{a,b}',
  '2>&1',
  '>f',
  '>>f',
  '<f',
  "'\\'",
  '"\\""',
  '\\;',
  '\\ ',
  '}',
  '{',
  'if',
  '#a',
  'a#',
  '&>f',
  "$'\\''",
  '~',
  '=a',
  '!',
);
const simple = fc
  .tuple(
    fc.constantFrom(
      '',
      '',
      '',
      'a=b ',
      '>f ',
      'env ',
      'nohup ',
      'nice -n 1 ',
      'timeout 1 ',
      '! ',
      'command ',
      'exec ',
    ),
    written,
    fc.array(argument, { maxLength: 3 }),
  )
  .map(([before_, name, args]) => `${before_}${[name, ...args].join(' ')}`);
const { text } = fc.letrec<{ text: string; compound: string }>((tie) => ({
  text: fc.oneof({ maxDepth: 4, depthSize: 'small', withCrossShrink: true }, simple, tie('compound')),
  compound: fc.tuple(fc.nat({ max: 17 }), tie('text'), tie('text')).map(([kind, a, b]) => {
    const forms = [
      `${a}; ${b}`,
      `${a} && ${b}`,
      `${a} || ${b}`,
      `${a} | ${b}`,
      `${a} & ${b}`,
      `${a}\n${b}`,
      `(${a}; ${b})`,
      `{ ${a}; ${b}; }`,
      `if ${a}; then ${b}; fi`,
      `for i in 1 2; do ${a}; done`,
      `case x in x) ${a};; *) ${b};; esac`,
      `ls "$(${a})"`,
      `ls \`${a}\``,
      `x=$(${a}); ${b}`,
      `sh -c '${a}'`,
      `eval "${a}"`,
      `cat <(${a})`,
      `cat <<E\n${a}\nE\n${b}`,
    ];
    return forms[kind]!;
  }),
}));
const signs = fc
  .array(
    fc.oneof(
      fc.constantFrom(...names),
      fc.constantFrom(
        ' ',
        ' ',
        ' ',
        '\n',
        ';',
        '|',
        '&',
        '&&',
        '||',
        '(',
        ')',
        '{ ',
        '}',
        "'",
        '"',
        '\\',
        '`',
        '$(',
        ')',
        '$x',

        '#',
        '<',
        '>',
        '<<E\n',
        '\nE\n',
        '>&',
        '&>',
        '$',
        '=',
        'a=',
        '!',
        'if ',
        'then ',
        'fi',
        'do ',
        'done',

        'case x in ',
        'x)',
        ';;',
        'esac',
        'for i in ',
        '${x:-',
        "$'",
        '<(',
        '<<<',
        '|&',
        '[ ',
        ' ]',
        '((',
        '))',
        '~',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

test(
  'what shells start was told',
  { skip: shells.length === 0 && 'neither bash nor dash is installed' },
  () => {
    fc.assert(
      fc.property(fc.oneof(text, signs), fc.constantFrom(...shells), (each, shell) => {
        const facts = classifier.classify(Buffer.from(each));
        if (facts.effects.includes('code') || facts.effects.includes('unknown')) return;
        const missing = startedBy(shell, each).filter((name) => !facts.programs.includes(name));
        assert.deepEqual(missing, [], `${shell} started ${missing.join(' ')}: ${JSON.stringify(each)}`);
      }),
      { numRuns: 1500, interruptAfterTimeLimit: 20_000 },
    );
  },
);
