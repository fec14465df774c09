/**
 * Which logs are trusted and whose cosignatures are enough: https://c2sp.org/tlog-policy. Pure.
 *
 *     log <vkey> [<url>]
 *     witness <name> <vkey> [<url>]
 *     group <name> all|any|<k> <name>…
 *     quorum <name>|none
 */
import { EvidenceError } from '../error.ts';
import { NoteVerifier } from './note.ts';

export interface PolicyWitness {
  /** As the policy calls it. */
  readonly name: string;
  readonly verifier: NoteVerifier;
}

export interface WitnessPolicy {
  readonly logs: readonly NoteVerifier[];
  readonly witnesses: readonly PolicyWitness[];
  /** Are these witnesses' cosignatures enough? */
  satisfied(names: ReadonlySet<string>): boolean;
}

type Rule = (names: ReadonlySet<string>) => boolean;

/** A file is read whole; nobody needs a larger one. */
const maxPolicyBytes = 1024 * 1024;

/** `quorum` of these keys, without a file. @throws EvidenceError `note-malformed`, `policy-file-invalid` */
export function quorumOf(vkeys: readonly string[], quorum: number): WitnessPolicy {
  const witnesses = vkeys.map((vkey) => ({ name: vkey, verifier: witnessKey(vkey, invalid) }));
  refuseDuplicates(
    witnesses.map(({ verifier }) => verifier),
    invalid,
  );
  if (quorum < 0 || quorum > witnesses.length) throw invalid(`${quorum} of ${witnesses.length} witnesses`);
  return { logs: [], witnesses, satisfied: (names) => names.size >= quorum };
}

/** @param bytes of any origin @throws EvidenceError `policy-file-invalid`, `note-malformed` */
export function parsePolicy(bytes: Uint8Array): WitnessPolicy {
  // Names are opaque octets: Latin-1 keeps each as it is.
  const text = Buffer.from(bytes).toString('latin1');
  // oxlint-disable-next-line no-control-regex -- the specification forbids them
  if (bytes.length > maxPolicyBytes || /[^\t\n\x20-\x7e\x80-\xff]/.test(text))
    throw invalid('it is too long, or has a control character in it');
  const policy = new PolicyLines();
  for (const [at, line] of text.split('\n').entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length > 0 && !words[0]!.startsWith('#')) policy.add(words, at + 1);
  }
  return policy.finish();
}

class PolicyLines {
  readonly #logs: NoteVerifier[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #rules = new Map<string, Rule>();
  #quorum: Rule | null = null;

  add([kind = '', ...words]: readonly string[], at: number): void {
    const wrong = (why: string): EvidenceError => invalid(`line ${at}: ${why}`);
    if (kind === 'log') this.#log(words, wrong);
    else if (kind === 'witness') this.#witness(words, wrong);
    else if (kind === 'group') this.#group(words, wrong);
    else if (kind === 'quorum') this.#setQuorum(words, wrong);
    else throw wrong('expected log, witness, group or quorum');
  }

  finish(): WitnessPolicy {
    if (this.#quorum === null) throw invalid('there is no quorum line');
    return { logs: this.#logs, witnesses: this.#witnesses, satisfied: this.#quorum };
  }

  #log([vkey = '', ...url]: readonly string[], wrong: Wrong): void {
    const verifier = NoteVerifier.parse(vkey);
    if (verifier.cosigns) throw wrong('the key of a log is one of a witness');
    if (url.length > 1) throw wrong('expected log VKEY [URL]');
    this.#logs.push(verifier);
    refuseDuplicates(this.#logs, wrong);
  }

  #witness([name = '', vkey = '', ...url]: readonly string[], wrong: Wrong): void {
    if (url.length > 1) throw wrong('expected witness NAME VKEY [URL]');
    const verifier = witnessKey(vkey, wrong);
    this.#define(name, (names) => names.has(name), wrong);
    this.#witnesses.push({ name, verifier });
    refuseDuplicates(
      this.#witnesses.map((each) => each.verifier),
      wrong,
    );
  }

  #group([name = '', threshold = '', ...members]: readonly string[], wrong: Wrong): void {
    if (members.length === 0) throw wrong('expected group NAME all|any|K NAME…');
    if (new Set(members).size !== members.length) throw wrong('a member is named twice');
    const rules = members.map((member) => this.#rule(member, wrong));
    const needed = threshold === 'all' ? members.length : threshold === 'any' ? 1 : Number(threshold);
    if (!/^(all|any|[1-9]\d*)$/.test(threshold) || needed > members.length)
      throw wrong(`expected all, any or a number from 1 to ${members.length}`);
    this.#define(name, (names) => rules.filter((rule) => rule(names)).length >= needed, wrong);
  }

  #setQuorum([name = '', ...rest]: readonly string[], wrong: Wrong): void {
    if (this.#quorum !== null) throw wrong('there are two quorum lines');
    if (rest.length > 0 || name === '') throw wrong('expected quorum NAME');
    this.#quorum = name === 'none' ? () => true : this.#rule(name, wrong);
  }

  #define(name: string, rule: Rule, wrong: Wrong): void {
    if (name === '' || name === 'none' || this.#rules.has(name))
      throw wrong(`${name} cannot be defined, or not again`);
    this.#rules.set(name, rule);
  }

  #rule(name: string, wrong: Wrong): Rule {
    const rule = this.#rules.get(name);
    if (rule === undefined) throw wrong(`${name} is not defined before`);
    return rule;
  }
}

type Wrong = (why: string) => EvidenceError;

const invalid: Wrong = (why) =>
  new EvidenceError('policy-file-invalid', `the policy of witnesses cannot be used: ${why}`, {
    hint: 'see https://c2sp.org/tlog-policy',
  });

function witnessKey(vkey: string, wrong: Wrong): NoteVerifier {
  const verifier = NoteVerifier.parse(vkey);
  if (!verifier.cosigns) throw wrong(`${verifier.name} is not the key of a witness (cosignature/v1)`);
  return verifier;
}

function refuseDuplicates(verifiers: readonly NoteVerifier[], wrong: Wrong): void {
  const last = verifiers.at(-1);
  if (verifiers.some((each) => each !== last && last !== undefined && each.samePublicKey(last)))
    throw wrong('the same key stands there twice');
}
