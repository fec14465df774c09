/**
 * The checklist. Files in, findings out: no store, no clock, no network, nothing written. What the relay claims about
 * itself is not believed; the verifier key is what the caller brings.
 */
import { decodeEntry, sessionOf, type Act, type Entry, type EntryOf } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.ts';
import { NoteVerifier, parseNote } from '../log/note.ts';
import { parsePolicy, quorumOf, type WitnessPolicy } from '../log/policy.ts';
import { noteBytes, readIfThere } from '../regular-file.ts';
import { entriesAhead } from './ahead.ts';
import { Attribution, type AttributionOptions, type AttributionReport } from './attribution/attribution.ts';
import { BreakGlassCheck } from './break-glass.ts';
import { Erasures } from './erasures.ts';
import { FindingList, RelationFindings, type Finding, type Findings } from './finding.ts';
import { checkJournal, laterSessions } from './journal.ts';
import { LogKeys } from './keys.ts';
import { Logins } from './logins.ts';
import { OriginalsCheck, type OriginalsReport } from './originals.ts';
import { checkRecordings } from './recordings.ts';
import { Reseals } from './reseals.ts';
import { Reviews } from './reviews.ts';
import { checkSegment } from './segments.ts';
import { Sessions } from './sessions.ts';
import { TreeCheck } from './tree.ts';
import { WitnessCheck, type WitnessReport } from './witnesses.ts';

export interface VerifyOptions {
  /** The evidence directory: holds `log/` and `recordings/`. A path, or where else they are (an open bundle). */
  readonly directory: Location;
  /**
   * The log's verifier key, from somewhere else than this directory. Any that the log was ever signed with: the others
   * follow from it through the log's hand-overs.
   */
  readonly vkey: string;
  /**
   * A signed checkpoint seen earlier (the bytes of its file). Without one, a relay that shows an older state of its log
   * cannot be told from one whose log is that short.
   */
  readonly since?: Uint8Array;
  /** The log counts only as far as `threshold` of these keys have cosigned it. */
  readonly witnesses?: { readonly vkeys: readonly string[]; readonly threshold: number };
  /** The same by a file of https://c2sp.org/tlog-policy; logs in it are not looked at. */
  readonly policy?: Uint8Array;
  /** False checks the log alone: for a directory that has no recordings. Default true. */
  readonly recordings?: boolean;
  /** Only these sessions' recordings are here (an export of some). Default: all. */
  readonly sessions?: ReadonlySet<string>;
  /** Follow each signed act to the identity provider's own signature: needs `logins/` beside the log. Default: not. */
  readonly attribution?: AttributionOptions;
  /** Auditors' identities (`AGE-SECRET-KEY-1…`): what was sealed is opened, and compared with what the log promised. */
  readonly identities?: readonly string[];
  /** Called with each finding as it is made. */
  readonly onFinding?: (finding: Finding) => void;
}

export interface Report {
  /** True when there is no failure; warnings may remain. */
  readonly verified: boolean;
  /** The first thousand, in the order in which they were made. */
  readonly findings: readonly Finding[];
  readonly failures: number;
  readonly warnings: number;
  /** Null when there is no readable checkpoint. Signed only if no `checkpoint-…` failure says otherwise. */
  readonly checkpoint: {
    readonly origin: string;
    readonly size: number;
    /** Base64. */
    readonly root: string;
    /** The signed note, for `since` of the next time. */
    readonly note: string;
  } | null;
  /** Keys that the log was signed with, the one in force last; `since` is the entry that handed over to it. */
  readonly keys: readonly { readonly vkey: string; readonly since: number | null }[];
  /** How far the policy's witnesses vouch; null when no policy was given, or there is no checkpoint. */
  readonly witnessed: WitnessReport | null;
  readonly counts: {
    readonly entries: number;
    readonly sessions: number;
    readonly unfinishedSessions: number;
    readonly segments: number;
    /** Of them, and of their originals, what the log says was erased, and is gone. */
    readonly erased: { readonly segments: number; readonly originals: number };
    /** Files of originals that are not those that were sealed first, as the log says. */
    readonly resealed: number;
    readonly signatures: number;
  };
  /** Null when it was not asked for. With `sessions`: of acts about those alone. */
  readonly attribution: AttributionReport | null;
  /** Null when no identity was given. */
  readonly originals: OriginalsReport | null;
  /** Times of the first and the last entry; null when there is none. */
  readonly from: string | null;
  readonly to: string | null;
}

/**
 * @throws EvidenceError `note-malformed` when a key or `since` of the caller is none, `note-unverified` when `since` is of
 * another log, `policy-file-invalid`
 */
export const verify = (options: VerifyOptions): Promise<Report> => verifyAnd(options, async () => undefined);

/** The same, and what is to be checked besides. @param more finds what is wrong with what surrounds the record */
export async function verifyAnd(
  options: VerifyOptions,
  more: (findings: Findings, keys: readonly NoteVerifier[]) => Promise<void>,
): Promise<Report> {
  const findings = new FindingList(options.onFinding);
  const log = within(options.directory, 'log');
  const keys = await LogKeys.open(log, NoteVerifier.parse(options.vkey), findings);
  const policy = policyOf(options);
  const history = new EntryCheck(options, keys, findings);
  let witnesses: WitnessCheck | null = null;

  const signed = await checkCheckpoint(log, keys, findings);
  if (signed !== null) {
    const { checkpoint } = signed;
    const { size, origin } = checkpoint;
    if (policy !== null) witnesses = await WitnessCheck.open(log, { policy, origin }, findings);
    history.onEntry = (index, time) => witnesses?.entry(index, time);
    await history.readAhead(size);
    const tree = new TreeCheck(log, size, findings);
    const since = compareSince(options, checkpoint, findings);
    await tree.readAll(
      (entry, index) => history.check(entry, index),
      (reached, root) => {
        for (const each of [keys, witnesses]) each?.reached(reached, root);
        since?.(reached, root);
      },
      () => history.entriesMissing(),
    );
    await tree.finish(checkpoint.root);
    keys.finish(size);
    if (options.since !== undefined) keys.checkSeen(options.since);
    witnesses?.finish(size, history.summary().to);
    history.finish();
    if (options.recordings !== false) await history.checkRecordings(log, size);
    await history.checkOriginals();
    await checkJournal(log, size, findings);
  }
  await more(findings, keys.inForce);

  return {
    verified: findings.failures === 0,
    findings: findings.kept,
    failures: findings.failures,
    warnings: findings.warnings,
    checkpoint: signed === null ? null : describe(signed),
    keys: keys.chain.map(({ verifier, since }) => ({ vkey: verifier.toString(), since })),
    witnessed: witnesses?.report ?? null,
    ...history.summary(),
  };
}

interface Signed {
  readonly checkpoint: Checkpoint;
  readonly note: string;
}

function describe({ checkpoint, note }: Signed): NonNullable<Report['checkpoint']> {
  const { origin, size, root } = checkpoint;
  return { origin, size, root: root.toString('base64'), note };
}

/** Null: nobody was asked to vouch. */
function policyOf({ policy, witnesses }: VerifyOptions): WitnessPolicy | null {
  if (policy !== undefined) return parsePolicy(policy);
  return witnesses === undefined ? null : quorumOf(witnesses.vkeys, witnesses.threshold);
}

/** An unproven checkpoint is gone on with, so that the rest is named too. */
async function checkCheckpoint(log: Location, keys: LogKeys, findings: Findings): Promise<Signed | null> {
  const place = { file: 'log/checkpoint' };
  const bytes = await readIfThere(within(log, 'checkpoint'), noteBytes);
  if (bytes === null) {
    findings.failure('checkpoint-missing', 'there is no checkpoint', place);
    return null;
  }
  try {
    keys.checkSigned(bytes);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const code = error.code === 'note-unverified' ? 'checkpoint-unverified' : 'checkpoint-malformed';
    findings.failure(code, error.message, place);
    if (code === 'checkpoint-malformed') return null;
  }
  return { checkpoint: parseCheckpoint(parseNote(bytes).text), note: bytes.toString() };
}

/** Append-only: the tree that was seen before must be a prefix of this one. Whose checkpoint it is is asked at the end. */
function compareSince(
  { since }: VerifyOptions,
  now: Checkpoint,
  findings: Findings,
): ((size: number, root: () => Buffer) => void) | null {
  if (since === undefined) return null;
  const before = parseCheckpoint(parseNote(since).text);
  if (before.size > now.size) {
    const message = `the log has ${now.size} entries and had ${before.size} when it was seen before`;
    findings.failure('log-rolled-back', message, { file: 'log/checkpoint', index: now.size });
    return null;
  }
  return (size, root) => {
    if (size !== before.size || root().equals(before.root)) return;
    const message = `the first ${size} entries are not those that were seen before`;
    findings.failure('log-forked', message, { file: 'log/checkpoint' });
  };
}

/** What single entries say, and what they say about one another. */
class EntryCheck {
  readonly #options: VerifyOptions;
  readonly #keys: LogKeys;
  readonly #findings: Findings;
  /** Called with each entry that has a time. */
  onEntry: (index: number, time: string) => void = () => undefined;
  readonly #relations: RelationFindings;
  readonly sessions: Sessions;
  readonly #logins: Logins;
  readonly #reviews: Reviews;
  readonly #breakGlass: BreakGlassCheck;
  readonly #attribution: Attribution | null;
  readonly #originals: OriginalsCheck | null;
  readonly #erasures: Erasures;
  readonly #reseals: Reseals;
  #entries = 0;
  #segments = 0;
  #from: string | null = null;
  #to: string | null = null;

  constructor(options: VerifyOptions, keys: LogKeys, findings: Findings) {
    this.#options = options;
    this.#keys = keys;
    this.#findings = findings;
    this.#relations = new RelationFindings(findings);
    this.sessions = new Sessions(this.#relations);
    this.#erasures = new Erasures(this.#relations);
    this.#reseals = new Reseals(this.#relations);
    this.#attribution =
      options.attribution === undefined
        ? null
        : new Attribution(options.directory, options.attribution, {
            findings,
            relations: this.#relations,
          });
    this.#originals =
      options.identities === undefined ? null : new OriginalsCheck(options.identities, findings);
    this.#logins = new Logins(findings, this.#relations, (login) => this.#attribution?.forget(login));
    this.#reviews = new Reviews(this.#relations);
    this.#breakGlass = new BreakGlassCheck(findings, this.#relations);
  }

  /** @param size of the checkpoint */
  async readAhead(size: number): Promise<void> {
    const { directory } = this.#options;
    for await (const entry of entriesAhead(directory, size, ['evidence.erased', 'originals.resealed']))
      for (const each of [this.#erasures, this.#reseals]) each.announce(entry);
  }

  check(bytes: Buffer, index: number): void | Promise<void> {
    this.#entries += 1;
    const decoded = decodeEntry(bytes);
    if (decoded.state === 'malformed') {
      this.#findings.failure('entry-malformed', `entry ${index} is ${decoded.reason}`, { index });
      return;
    }
    const time = decoded.state === 'known' ? decoded.entry.time : decoded.time;
    if (this.#to !== null && time < this.#to)
      this.#findings.failure('time-decreased', `entry ${index} is older than the one before it`, { index });
    this.#from ??= time;
    this.#to = time;
    this.onEntry(index, time);
    if (decoded.state === 'known' && decoded.entry.kind === 'log.key-rotated')
      return this.#keys.rotated(decoded.entry, bytes, index);
    if (decoded.state === 'known') return this.#checkKnown(decoded.entry, index);
    this.#findings.warning('entry-unknown', `entry ${index} is of a kind that this program does not know`, {
      index,
    });
  }

  #checkKnown(entry: Entry, index: number): void | Promise<void> {
    for (const each of [this.#erasures, this.#reseals]) each.take(entry, index);
    switch (entry.kind) {
      case 'relay.started':
        this.#breakGlass.started();
        return this.sessions.started();
      case 'login':
        this.#attribution?.signedIn(entry, index);
        return this.#logins.signedIn(entry, index);
      case 'agent.delegated':
      case 'originals.resealed':
        return this.#checkAct(entry, index);
      case 'login.ended':
        return this.#logins.ended(entry, index);
      case 'session.opened': {
        const attributed = this.#checkAct(entry, index);
        this.sessions.opened(entry, index);
        return attributed;
      }
      case 'session.killed': {
        const attributed = this.#checkAct(entry, index);
        this.sessions.mentioned(entry, index);
        return attributed;
      }
      case 'segment':
        return this.#checkSegment(entry, index);
      case 'session.closed':
        this.#reviews.sessionClosed(entry);
        return this.sessions.closed(entry, index);
      case 'session.killed-by-operator':
      case 'command.blocked':
        return this.sessions.mentioned(entry, index);
      case 'command.held':
        this.#reviews.held(entry, index);
        return this.sessions.mentioned(entry, index);
      case 'review.requested':
        return this.#reviews.requested(entry, this.sessions.owner(entry.session), index);
      case 'review.decided': {
        const attributed = this.#checkAct(entry, index);
        this.#reviews.decided(entry, this.#logins.groupsOf(entry.login), index);
        return attributed;
      }
      case 'review.ended':
        return this.#reviews.ended(entry, index);
      // The session may be another relay's: whoever is asked to decide writes down that it refused.
      case 'review.refused':
      case 'relay.recovered':
      case 'config.changed':
      case 'log.key-rotated':
      case 'storage.low':
      case 'storage.recovered':
      case 'evidence.erased':
      case 'hold.placed':
      case 'hold.released':
      case 'gap':
        return undefined;
      case 'break-glass.opened':
        return this.#breakGlass.opened(entry, index);
      case 'break-glass.used':
        return this.#breakGlass.used(entry, index);
      case 'break-glass.ended':
        return this.#breakGlass.ended(entry, index);
      case 'issuer.keys':
        return this.#attribution?.issuerKeys(entry, index);
      case 'evidence.read':
        return entry.actor.kind === 'relay' ? undefined : this.#checkAct(entry, index);
    }
  }

  #checkAct(act: Act, index: number): void | Promise<void> {
    const checked = this.#logins.check(act, index);
    const { sessions } = this.#options;
    const session = sessionOf(act);
    if (sessions === undefined || (session !== null && sessions.has(session)))
      return this.#attribution?.act(act, index, checked);
  }

  async #checkSegment(entry: EntryOf<'segment'>, index: number): Promise<void> {
    const openedAtMs = this.sessions.segment(entry, index);
    const { directory, recordings, sessions } = this.#options;
    if (openedAtMs === null || recordings === false || sessions?.has(entry.session) === false) return;
    this.#segments += 1;
    this.#originals?.segment(entry, openedAtMs, index);
    const take = this.#reviews.recordsOf({ index, session: entry.session, segment: entry.index });
    await checkSegment(
      directory,
      openedAtMs,
      { entry, index },
      {
        findings: this.#findings,
        erasures: this.#erasures,
        reseals: this.#reseals,
        take,
      },
    );
  }

  /** The log has ended. */
  finish(): void {
    this.sessions.finish();
    this.#reviews.finish((session) => this.sessions.extent(session)?.open === false);
  }

  entriesMissing(): void {
    this.#relations.incomplete = true;
  }

  /** @param size of the checkpoint */
  async checkRecordings(log: Location, size: number): Promise<void> {
    let later: Promise<ReadonlySet<string>> | null = null;
    const ask = () => (later ??= laterSessions(log, size));
    await checkRecordings(this.#options.directory, this.sessions, ask, this.#relations);
  }

  async checkOriginals(): Promise<void> {
    await this.#originals?.finish(this.#options.directory);
  }

  summary(): Pick<Report, 'attribution' | 'counts' | 'originals' | 'from' | 'to'> {
    return {
      originals: this.#originals?.report ?? null,
      attribution: this.#attribution?.report() ?? null,
      counts: {
        entries: this.#entries,
        sessions: this.sessions.count,
        unfinishedSessions: this.sessions.unfinished,
        segments: this.#segments,
        erased: this.#erasures.files,
        resealed: this.#reseals.files,
        signatures: this.#logins.signatures,
      },
      from: this.#from,
      to: this.#to,
    };
  }
}
