/**
 * What stands beside the log so that a sign-in can be followed back to its issuer: the issuer's own word about the person
 * (`logins/<yyyy>/<mm>/<dd>/<sha256>.jwt`, a SAML response `.xml`), and key sets that are too large for an entry
 * (`issuers/<sha256>.json`). Entries name both by digest. Proofs are personal data: they are apart from the log so that they
 * can be erased, whole days at a time, and nothing but attribution needs them. None is a credential: each was used up.
 */
import { keptProofKinds, type EntryOf, type KeptProofKind } from '../entry.ts';
import { listIfThere, within, type Location } from '../location.ts';

/** No longer than this is read as a proof or as a key set. */
export const proofBytes = 1024 * 1024;

const endings: Readonly<Record<KeptProofKind, string>> = {
  'id-token': 'jwt',
  'saml-response': 'xml',
};

/** A proof as an entry names it. */
export interface NamedProof {
  readonly kind: KeptProofKind;
  /** SHA-256 of its text, hexadecimal. */
  readonly digest: string;
}

/**
 * What the entry names of what is kept: the identity provider's own word first, then the token that it came with, if that is
 * another. Nothing of a machine's: what it shows may be shown again.
 */
export function proofsOf({ proof, idTokenDigest }: EntryOf<'login'>): readonly NamedProof[] {
  const named: NamedProof[] = [];
  const kind = keptProofKinds.find((each) => each === proof?.kind);
  if (kind !== undefined && proof?.digest) named.push({ kind, digest: proof.digest });
  if (idTokenDigest !== undefined && idTokenDigest !== named[0]?.digest)
    named.push({ kind: 'id-token', digest: idTokenDigest });
  return named;
}

/** Below the evidence directory. @param dayMs any moment of the UTC day on which it is kept */
export function proofPath(dayMs: number, { kind, digest }: NamedProof): string {
  const [year, month, day] = new Date(dayMs).toISOString().slice(0, 10).split('-');
  return `logins/${year}/${month}/${day}/${digest}.${endings[kind]}`;
}

/** Where a proof can be that an entry of this time is the first to name: it was kept just before, perhaps before midnight. */
export function proofPaths(entryTime: string, proof: NamedProof): readonly string[] {
  const timeMs = Date.parse(entryTime);
  return [proofPath(timeMs, proof), proofPath(timeMs - 86_400_000, proof)];
}

/** Below the evidence directory. @param digest SHA-256 of the canonical JSON that the file holds */
export const keySetPath = (digest: string): string => `issuers/${digest}.json`;

/** The digest in the name; null for anything that is not exactly the path of a proof or of a key set. */
export function parseProofPath(given: string): string | null {
  const [, digest] =
    /^logins\/\d{4}\/\d\d\/\d\d\/([0-9a-f]{64})\.(?:jwt|xml)$/.exec(given) ??
    /^issuers\/([0-9a-f]{64})\.json$/.exec(given) ??
    [];
  return digest ?? null;
}

/** `<yyyy>/<mm>/<dd>` above the proofs. */
const depthOfProofs = 3;

/** The proofs that are in an evidence directory, whatever their days: directories of several relays may have been merged. */
export class KeptProofs {
  readonly #evidence: Location;
  #paths: Promise<ReadonlyMap<string, string>> | null = null;

  constructor(evidence: Location) {
    this.#evidence = evidence;
  }

  /** Path below the evidence directory; null when there is none. What the file holds is not looked at. */
  async find(digest: string): Promise<string | null> {
    this.#paths ??= this.#read();
    return (await this.#paths).get(digest) ?? null;
  }

  async #read(): Promise<ReadonlyMap<string, string>> {
    const paths = new Map<string, string>();
    await this.#walk('logins', 0, paths);
    return paths;
  }

  async #walk(directory: string, depth: number, paths: Map<string, string>): Promise<void> {
    for (const entry of await listIfThere(within(this.#evidence, directory))) {
      const name = `${directory}/${entry.name}`;
      const digest = parseProofPath(name);
      if (digest !== null) paths.set(digest, name);
      else if (entry.isDirectory() && depth < depthOfProofs) await this.#walk(name, depth + 1, paths);
    }
  }
}
