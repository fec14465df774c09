/** Key sets of issuers as the log tells them, and which of them held when somebody signed in. */
import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { EntryOf } from '../../entry.ts';
import { within, type Location } from '../../location.ts';
import { keySetPath, proofBytes } from '../../logins/layout.ts';
import { readIfThere } from '../../regular-file.ts';
import type { Findings } from '../finding.ts';
import { KeySet } from './id-token.ts';

export interface SeenKeySet {
  /** Place of its entry in the log. */
  readonly index: number;
  readonly digest: string;
  /** Null when it is not there, or is not what the entry names; told when it was looked for. */
  keys(): Promise<readonly unknown[] | null>;
}

interface Known {
  readonly set: SeenKeySet;
  /** When the next set was seen; null while it is the last. */
  replacedMs: number | null;
}

/** Between the relay's look at the keys and the entry of the login that they proved. */
const overlapMs = 300_000;

export class IssuerKeySets {
  readonly #evidence: Location;
  readonly #findings: Findings;
  readonly #known = new Map<string, Known[]>();

  constructor(evidence: Location, findings: Findings) {
    this.#evidence = evidence;
    this.#findings = findings;
  }

  seen(entry: EntryOf<'issuer.keys'>, index: number): void {
    const nowMs = Date.parse(entry.time);
    const before = this.#known.get(entry.issuer) ?? [];
    const last = before.at(-1);
    if (last !== undefined) last.replacedMs ??= nowMs;
    const held = before.filter(({ replacedMs }) => replacedMs === null || nowMs - replacedMs < overlapMs);
    this.#known.set(entry.issuer, [...held, { set: this.#open(entry, index), replacedMs: null }]);
  }

  /** Sets that held at that time, the newest first. */
  heldAt(issuer: string, time: string): readonly SeenKeySet[] {
    const nowMs = Date.parse(time);
    const known = this.#known.get(issuer) ?? [];
    return known
      .filter(({ replacedMs }) => replacedMs === null || nowMs - replacedMs < overlapMs)
      .map(({ set }) => set)
      .toReversed();
  }

  #open(entry: EntryOf<'issuer.keys'>, index: number): SeenKeySet {
    let keys: Promise<readonly unknown[] | null> | null = null;
    return { index, digest: entry.jwksDigest, keys: () => (keys ??= this.#read(entry, index)) };
  }

  async #read({ jwks, jwksDigest, issuer }: EntryOf<'issuer.keys'>, index: number) {
    const file = jwks === null ? keySetPath(jwksDigest) : null;
    const place = { index, ...(file !== null && { file }) };
    const stored =
      file === null ? canonicalize(jwks)! : await readIfThere(within(this.#evidence, file), proofBytes);
    if (stored === null) {
      const message = `the key set of ${issuer} is not in the entry, and its file is missing`;
      this.#findings.failure('attribution-keys-missing', message, place);
      return null;
    }
    const set = hash('sha256', stored, 'hex') === jwksDigest ? parse(stored) : null;
    if (set === null)
      this.#findings.failure(
        'attribution-keys-mismatch',
        `the key set of ${issuer} has another digest than its entry says, or is none`,
        place,
      );
    return set;
  }
}

function parse(stored: string | Buffer): readonly unknown[] | null {
  try {
    return KeySet.parse(JSON.parse(stored.toString())).keys;
  } catch {
    return null;
  }
}
