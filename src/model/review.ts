/** People of `group` who must approve; all groups that a review needs must reach their number. */
export interface NeededGroup {
  readonly group: string;
  /** From 1. */
  readonly count: number;
}
