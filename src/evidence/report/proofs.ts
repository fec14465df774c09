/** What verification adds to a control: one statement each, and whether it holds. */
import type { FailureCode, FindingCode } from '../verify/finding.ts';
import type { Report } from '../verify/verify.ts';

export type ProofName =
  | 'attribution'
  | 'checkpoint'
  | 'entries'
  | 'reviews'
  | 'segments'
  | 'sessions'
  | 'signatures'
  | 'verified'
  | 'witnesses';

export interface Proof {
  readonly says: string;
  /** Null: it was not looked at. */
  readonly holds: boolean | null;
}

const unverified: Readonly<Record<ProofName, string>> = {
  attribution: 'signed acts follow from signatures of the identity provider',
  checkpoint: 'the log is signed by its key',
  entries: 'entries are well formed, and their times never decrease',
  reviews: 'commands that went by a review are those that people approved',
  segments: 'every recorded segment is there and unchanged',
  sessions: 'every session has its end in the log',
  signatures: 'people signed what they did',
  verified: 'nothing was changed, removed or reordered',
  witnesses: 'others have cosigned the log',
};

/** @param report null: nothing was verified */
export function proofOf(name: ProofName, report: Report | null): Proof {
  if (report === null) return { says: `${unverified[name]}: not verified in this report`, holds: null };
  return proofs[name](report);
}

/** Of which statement a failure takes the truth; all of them take that of `verified`. */
const disproves: Readonly<Record<FailureCode, ProofName>> = {
  'checkpoint-missing': 'checkpoint',
  'checkpoint-malformed': 'checkpoint',
  'checkpoint-unverified': 'checkpoint',
  'checkpoint-superseded': 'checkpoint',
  'checkpoint-unwitnessed': 'witnesses',
  'witnesses-late': 'witnesses',
  'handover-invalid': 'checkpoint',
  'handover-uncovered': 'checkpoint',
  'log-rolled-back': 'checkpoint',
  'log-forked': 'checkpoint',
  'entries-missing': 'entries',
  'entries-malformed': 'entries',
  'entry-mismatch': 'entries',
  'tile-missing': 'checkpoint',
  'tile-mismatch': 'checkpoint',
  'root-mismatch': 'checkpoint',
  'entry-malformed': 'entries',
  'time-decreased': 'entries',
  'login-unknown': 'signatures',
  'login-mismatch': 'signatures',
  'login-over': 'signatures',
  'delegation-invalid': 'signatures',
  'signature-invalid': 'signatures',
  'request-mismatch': 'signatures',
  'request-reused': 'signatures',
  'attribution-unsigned': 'attribution',
  'attribution-token-missing': 'attribution',
  'attribution-token-mismatch': 'attribution',
  'attribution-token-malformed': 'attribution',
  'attribution-claims-mismatch': 'attribution',
  'attribution-binding-mismatch': 'attribution',
  'attribution-keys-missing': 'attribution',
  'attribution-keys-mismatch': 'attribution',
  'attribution-key-unknown': 'attribution',
  'attribution-signature-invalid': 'attribution',
  'session-reopened': 'sessions',
  'session-unknown': 'sessions',
  'session-never-closed': 'sessions',
  'session-closed-late': 'sessions',
  'session-totals-mismatch': 'sessions',
  'break-glass-invalid': 'sessions',
  'review-unknown': 'reviews',
  'review-mismatch': 'reviews',
  'review-decision-invalid': 'reviews',
  'review-outcome-mismatch': 'reviews',
  'review-reused': 'reviews',
  'command-unapproved': 'reviews',
  'segment-out-of-order': 'segments',
  'segment-missing': 'segments',
  'segment-digest-mismatch': 'segments',
  'segment-undecodable': 'segments',
  'segment-header-mismatch': 'segments',
  'segment-counts-mismatch': 'segments',
  'originals-missing': 'segments',
  'originals-digest-mismatch': 'segments',
  'originals-mismatch': 'segments',
  'originals-incomplete': 'segments',
  'originals-unreadable': 'segments',
  'reseal-invalid': 'segments',
  'recording-unlogged': 'segments',
  'erasure-invalid': 'segments',
  'resealed-under-hold': 'segments',
  'erased-under-hold': 'segments',
  'journal-damaged': 'entries',
  'journal-mismatch': 'entries',
  'manifest-missing': 'verified',
  'manifest-malformed': 'verified',
  'manifest-mismatch': 'verified',
  'manifest-unverified': 'verified',
};

const failures: ReadonlyMap<string, ProofName> = new Map(Object.entries(disproves));

const none = (report: Report, name: ProofName): boolean =>
  complete(report) &&
  !report.findings.some(({ code, severity }) => severity === 'failure' && failures.get(code) === name);

/** The log is there and whole, and no finding was left out of the list: else what is not listed proves nothing. */
const complete = (report: Report): boolean =>
  report.checkpoint !== null &&
  report.findings.length === report.failures + report.warnings &&
  !report.findings.some(({ code }) => broken.has(code));

const broken: ReadonlySet<FindingCode> = new Set([
  'checkpoint-unverified',
  'entries-missing',
  'entries-malformed',
  'entry-mismatch',
  'root-mismatch',
]);

const proofs: Readonly<Record<ProofName, (report: Report) => Proof>> = {
  verified: (report) => ({
    says:
      report.failures === 0
        ? 'nothing was changed, removed or reordered'
        : `verification found ${report.failures} failures`,
    holds: report.verified,
  }),
  checkpoint: (report) => ({
    says:
      report.checkpoint === null
        ? 'there is no checkpoint'
        : `${report.checkpoint.size} entries under a checkpoint of ${report.checkpoint.origin}, signed by its key; root ${report.checkpoint.root}`,
    holds: none(report, 'checkpoint'),
  }),
  entries: (report) => ({
    says: `${report.counts.entries} entries, well formed and in order of time`,
    holds: none(report, 'entries'),
  }),
  segments: (report) => ({
    says: `${report.counts.segments} recorded segments, each with the digest that the log fixed`,
    holds: none(report, 'segments'),
  }),
  sessions: (report) => ({
    says: `${report.counts.sessions} sessions, of which ${report.counts.unfinishedSessions} have no end in the log yet`,
    holds: none(report, 'sessions'),
  }),
  reviews: (report) => ({
    says: 'every command that went by a review is the one that enough people approved, in time, and none of them who sent it',
    holds: none(report, 'reviews'),
  }),
  signatures: (report) => ({
    says: `${report.counts.signatures} signatures of people, each over exactly what its entry says, by the key of their sign-in`,
    holds: none(report, 'signatures'),
  }),
  attribution: ({ attribution }) => {
    if (attribution === null)
      return { says: 'signatures of the identity provider were not followed (--attribution)', holds: null };
    const sum = (name: 'issuer' | 'relay' | 'unchecked' | 'broken') =>
      attribution.acts.reduce((total, act) => total + act[name], 0);
    return {
      says: `signed acts: ${sum('issuer')} follow from the identity provider’s signature over person and key, ${sum('relay')} rest on the relay’s word for the key, ${sum('unchecked')} were not checked, ${sum('broken')} are broken`,
      holds: sum('broken') === 0,
    };
  },
  witnesses: ({ witnessed, checkpoint }) => {
    if (witnessed === null || checkpoint === null)
      return { says: 'no witness was asked for (--witness, --policy)', holds: null };
    const { size } = witnessed;
    return {
      says: `witnesses vouch for ${size ?? 0} of ${checkpoint.size} entries`,
      holds: size === checkpoint.size,
    };
  },
};
