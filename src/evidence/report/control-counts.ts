/** The records that bear on each control: counted, with references to some of them. */
import type { EvidenceEvent } from '../read/event.ts';
import type { Report } from '../verify/verify.ts';
import { controlDefinitions } from './controls.ts';
import { namedOf, type Named } from './person.ts';
import { proofOf, type Proof } from './proofs.ts';
import { SpreadSample } from './sample.ts';

/** Where a record stands: an entry by its place in the log, a command by session and number. */
export interface RecordReference {
  readonly time: string;
  readonly kind: string;
  readonly logIndex: number | null;
  readonly session: string | null;
  readonly connection: number | null;
  readonly command: number | null;
  /** Null: the relay by itself. */
  readonly by: Named | null;
}

export interface Control {
  readonly id: string;
  readonly title: string;
  readonly asks: string;
  readonly records: readonly {
    readonly shows: string;
    readonly kinds: readonly string[];
    readonly count: number;
    /** A few, spread evenly over all. */
    readonly samples: readonly RecordReference[];
  }[];
  readonly proofs: readonly Proof[];
  readonly notShown: readonly string[];
}

const samples = 4;

export class ControlCounts {
  readonly #classes = controlDefinitions.map(({ records }) =>
    records.map((record) => ({ record, sample: new SpreadSample<RecordReference>(samples) })),
  );
  /** The classes that a kind can belong to. */
  readonly #byKind = Map.groupBy(
    this.#classes.flat().flatMap((each) => each.record.kinds.map((kind) => ({ kind: String(kind), each }))),
    ({ kind }) => kind,
  );

  take(event: EvidenceEvent): void {
    for (const { each } of this.#byKind.get(event.kind) ?? [])
      if (each.record.only?.(event) !== false) each.sample.offer(() => referenceTo(event));
  }

  /** @param report null: nothing was verified */
  controls(report: Report | null): Control[] {
    return controlDefinitions.map(({ id, title, asks, proofs, notShown }, at) => ({
      id,
      title,
      asks,
      records: this.#classes[at]!.map(({ record: { shows, kinds }, sample }) => ({
        shows,
        kinds,
        count: sample.count,
        samples: sample.items,
      })),
      proofs: proofs.map((name) => proofOf(name, report)),
      notShown,
    }));
  }
}

function referenceTo(event: EvidenceEvent): RecordReference {
  const { time, kind, logIndex, session, connection, command, principal } = event;
  const by = principal === null ? null : namedOf(principal);
  return { time, kind, logIndex, session, connection, command, by };
}
