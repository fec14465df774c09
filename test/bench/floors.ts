/**
 * What the relay has to reach, as ratios of one run. Memory and masked bulk alone are absolute; a busy machine does less in a
 * second of its processor, so read masked bulk beside the same run's relay without rules ("without sensitive values").
 */

/** Medians: figure of a path in a scenario; undefined when that path was not measured. */
export type Figures = (scenario: string, path: string) => number | undefined;

interface Floor {
  readonly name: string;
  readonly floor: number;
  readonly goal: number;
  readonly atMost?: true;
  value(figures: Figures): number | undefined;
}

const ratio =
  (scenario: string, other: string, path = 'hoop') =>
  (figures: Figures) => {
    const [ours, theirs] = [figures(scenario, path), figures(scenario, other)];
    return ours === undefined || theirs === undefined ? undefined : ours / theirs;
  };

const stunnel = 'stunnel pair';
const prepared = '-S prepared, 16 clients';

export const floors: readonly Floor[] = [
  { name: `${prepared} : ${stunnel}`, floor: 1, goal: 1.5, value: ratio(prepared, stunnel) },
  ...['simple', 'extended'].map((mode) => ({
    name: `-S ${mode}, 16 clients : ${stunnel}`,
    floor: 0.9,
    goal: 1.1,
    value: ratio(`-S ${mode}, 16 clients`, stunnel),
  })),
  {
    name: `-S prepared, 1 client : ${stunnel}`,
    floor: 0.75,
    goal: 0.95,
    value: ratio('-S prepared, 1 client', stunnel),
  },
  {
    name: `TPC-B, 16 clients : ${stunnel}`,
    floor: 1,
    goal: 1.15,
    value: ratio('TPC-B prepared, 16 clients', stunnel),
  },
  {
    name: 'new connections : direct',
    floor: 0.7,
    goal: 0.9,
    value: ratio('new connections, 8 clients', 'direct'),
  },
  { name: 'COPY : direct', floor: 0.9, goal: 1, value: ratio('COPY', 'direct') },
  { name: 'SELECT : direct', floor: 0.9, goal: 1, value: ratio('SELECT', 'direct') },
  ...['COPY', 'SELECT'].map((way) => ({
    name: `masked ${way}, 2 values a row, MB per CPU second of the relay`,
    floor: 120,
    goal: 250,
    value: (figures: Figures) => figures(`masked ${way}, 2 values a row`, 'hoop (masking)'),
  })),
  {
    name: 'idle connection, relay KiB',
    floor: 16,
    goal: 8,
    atMost: true,
    value: (figures) => figures('memory per idle connection, server’s end', 'hoop'),
  },
  {
    name: 'idle connection, agent KiB',
    floor: 8,
    goal: 4,
    atMost: true,
    value: (figures) => figures('memory per idle connection, client’s end', 'hoop'),
  },
  {
    name: `durability disk, ${prepared} : process`,
    floor: 0.6,
    goal: 0.85,
    value: ratio(prepared, 'hoop', 'hoop (disk)'),
  },
];

/** One line a floor: met, the goal reached, not met, or not measured. */
export function judge(figures: Figures): { lines: string[]; allMet: boolean } {
  let allMet = true;
  const lines = floors.map(({ name, floor, goal, atMost, value }) => {
    const reached = value(figures);
    if (reached === undefined) return `not measured  ${name}`;
    const meets = (bound: number) => (atMost ? reached <= bound : reached >= bound);
    if (!meets(floor)) allMet = false;
    const verdict = meets(goal) ? 'goal' : meets(floor) ? 'met' : 'NOT MET';
    const sign = atMost ? '≤' : '≥';
    return `${verdict.padEnd(12)}  ${name}: ${reached.toFixed(2)} (floor ${sign} ${floor}, goal ${sign} ${goal})`;
  });
  return { lines, allMet };
}
