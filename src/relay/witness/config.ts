/** `witness.yaml`: what a witness is called, where it listens, which logs it knows. docs/operations.md describes it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { NoteVerifier } from '../../evidence/log/note.ts';
import { validateDocument } from '../config/config.ts';
import { ConfigError } from '../config/error.ts';
import { originOfLog, vkeyOf } from '../config/log-schema.ts';
import { isLoopback } from '../config/loopback.ts';
import type { RuleProblem } from '../config/rules.ts';
import { refuseIfOthersWrite } from '../config/secret-file.ts';
import { closed, file, network, parsed, port, text } from '../config/shapes.ts';

const log = closed({
  origin: originOfLog,
  vkeys: z.array(vkeyOf(false)).min(1, 'expected at least one key').max(16, 'expected at most 16 keys'),
});

const WitnessFile = closed({
  name: parsed(
    (value) => (/^[^\s+\p{Cc}]{1,255}$/u.test(value) ? value : null),
    'the name of the witness, such as witness.example.com/w1, without blanks and plus signs',
  ),
  dataDir: file,
  keyFile: file.optional(),
  listen: closed({
    host: text('an address or host name', 253).default('127.0.0.1'),
    port: port.default(7444),
  }).prefault({}),
  tls: closed({ certFile: file, keyFile: file }).optional(),
  behindProxy: closed({
    trusted: z.array(network).min(1, 'expected at least one address or network'),
  }).optional(),
  logs: z.array(log).min(1, 'expected at least one log').max(1000, 'expected at most 1,000 logs'),
});
type WitnessFile = z.output<typeof WitnessFile>;

/** Paths are absolute. */
export interface WitnessServerConfig {
  readonly name: string;
  readonly dataDir: string;
  readonly keyFile: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly trustedProxies: readonly string[];
  /** By origin: the keys whose signature counts. Several while one is handed over to the next. */
  readonly logs: ReadonlyMap<string, readonly NoteVerifier[]>;
}

/** @throws ConfigError `config-unreadable`, `config-invalid`, `config-exposed` */
export function loadWitnessConfig(name: string): WitnessServerConfig {
  const file_ = path.resolve(name);
  let yaml: string;
  try {
    yaml = readFileSync(file_, 'utf8');
  } catch (cause) {
    throw new ConfigError('config-unreadable', `cannot read the configuration ${file_}`, { cause });
  }
  const { dataDir, keyFile, tls, behindProxy, logs, ...rest } = validateDocument(file_, yaml, {
    schema: WitnessFile,
    rules: problemsOf,
  });
  refuseIfOthersWrite(file_);
  const absolute = (given: string): string => path.resolve(path.dirname(file_), given);
  return {
    ...rest,
    dataDir: absolute(dataDir),
    keyFile: absolute(keyFile ?? path.join(dataDir, 'witness.key')),
    tls: tls === undefined ? null : { certFile: absolute(tls.certFile), keyFile: absolute(tls.keyFile) },
    trustedProxies: behindProxy?.trusted ?? [],
    logs: new Map(logs.map(({ origin, vkeys }) => [origin, vkeys])),
  };
}

function* problemsOf({ listen, tls, behindProxy, logs }: WitnessFile): Generator<RuleProblem> {
  if (!isLoopback(listen.host) && tls === undefined && behindProxy === undefined)
    yield {
      path: ['listen', 'host'],
      message:
        'plain HTTP is served on loopback addresses only: set tls, or behindProxy when a proxy does TLS',
    };
  for (const [at, { origin, vkeys }] of logs.entries()) {
    if (logs.slice(0, at).some((other) => other.origin === origin))
      yield { path: ['logs', `${at}`, 'origin'], message: 'another log has this origin' };
    for (const [which, vkey] of vkeys.entries())
      if (vkey.name !== origin)
        yield { path: ['logs', `${at}`, 'vkeys', `${which}`], message: `expected a key of ${origin}` };
  }
}
