/**
 * With an auditor's identity: what was sealed opens, is what the `segment` entry promised, and every masked value that the
 * recording names has its original there, and no other. Without one nothing of this is known, and nothing is said.
 */
import { EvidenceError } from '../error.ts';
import type { EntryOf } from '../entry.ts';
import { within, type Location } from '../location.ts';
import { openOriginals, readSealed, type SealedSegment } from '../read/originals.ts';
import { originalsName, sessionPath } from '../recording/layout.ts';
import type { Findings, Place } from './finding.ts';

export interface OriginalsReport {
  /** Masked values whose originals were opened and put back in their places. */
  readonly opened: number;
  /** Segments whose originals none of the identities opens. */
  readonly locked: number;
  /** Segments that were sealed before logs promised what is in them. */
  readonly unpromised: number;
}

interface Promised {
  readonly openedAtMs: number;
  /** By segment: place of its entry in the log, and the digest that it promised. */
  readonly segments: Map<
    number,
    { readonly index: number; readonly digest: string | null; readonly promised: boolean }
  >;
}

export class OriginalsCheck {
  readonly #identities: readonly string[];
  readonly #findings: Findings;
  /** By session. Memory: some bytes for each segment that masked something. */
  readonly #promised = new Map<string, Promised>();
  readonly #report = { opened: 0, locked: 0, unpromised: 0 };

  /** @param identities `AGE-SECRET-KEY-1…` */
  constructor(identities: readonly string[], findings: Findings) {
    this.#identities = identities;
    this.#findings = findings;
  }

  get report(): OriginalsReport {
    return this.#report;
  }

  /** A segment whose files are those that the log names. */
  segment(entry: EntryOf<'segment'>, openedAtMs: number, index: number): void {
    if (entry.redactions === 0) return;
    const of = this.#promised.get(entry.session) ?? { openedAtMs, segments: new Map() };
    this.#promised.set(entry.session, of);
    const promised = entry.sealed === null || typeof entry.originals === 'string';
    of.segments.set(entry.index, { index, digest: entry.originals ?? null, promised });
  }

  async finish(evidence: Location): Promise<void> {
    for (const [session, { openedAtMs, segments }] of this.#promised) {
      const directory = sessionPath(openedAtMs, session);
      try {
        for await (const sealed of readSealed(within(evidence, directory))) {
          const of = segments.get(sealed.segment);
          if (of === undefined) continue;
          const file = `${directory}/${originalsName(sealed.segment)}`;
          await this.#check(sealed, of, { index: of.index, session, segment: sealed.segment, file });
        }
      } catch (error) {
        // What does not parse was named when the segment was looked at.
        if (!(error instanceof EvidenceError)) throw error;
      }
    }
  }

  async #check(
    sealed: SealedSegment,
    { digest, promised }: { readonly digest: string | null; readonly promised: boolean },
    place: Place,
  ): Promise<void> {
    // Missing, erased, or never kept: others say which.
    if (sealed.age === null && sealed.sealKey === null) return;
    const named = sealed.redactions.flatMap((redaction) =>
      redaction.sealed === null ? [] : [redaction.sealed],
    );
    let opened: Awaited<ReturnType<typeof openOriginals>>;
    try {
      opened = await openOriginals(sealed, this.#identities);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      if (error.code !== 'originals-locked') {
        this.#findings.failure(
          'originals-unreadable',
          'what is sealed was changed: it cannot be read',
          place,
        );
        return;
      }
      this.#report.locked += 1;
      const message = 'the identity does not open the originals of a segment';
      this.#findings.warning('originals-locked', message, place);
      return;
    }
    if (!promised) this.#report.unpromised += 1;
    else if (digest !== null && opened.digest !== digest) {
      this.#findings.failure('originals-mismatch', 'what is sealed is not what the log promised', place);
      return;
    }
    const there = new Set(named.filter((index) => opened.originals.has(index)));
    if (there.size !== new Set(named).size || there.size !== opened.originals.size) {
      this.#findings.failure(
        'originals-incomplete',
        'originals and the places that they were taken from are not the same number',
        place,
      );
      return;
    }
    this.#report.opened += there.size;
  }
}
