/** The timeline as SVG: a lane for each kind of thing over one axis of time, and the same numbers as a table. */
import { timelineSeries, type Timeline, type TimelineSeries } from '../../../evidence/report/timeline.ts';
import { html, type Markup } from './markup.ts';

const width = 1120;
const left = 150;
const right = 16;
const laneHeight = 46;
const laneGap = 18;
const axisHeight = 20;
const top = 10;

const names: Readonly<Record<TimelineSeries, string>> = {
  sessions: 'sessions opened',
  commands: 'commands',
  denials: 'commands denied',
  reviews: 'reviews asked for',
  kills: 'sessions killed',
};
const alarming: ReadonlySet<TimelineSeries> = new Set(['denials', 'kills']);

/** Each lane has a scale of its own; its highest bar is told beside it. */
export function plot(timeline: Timeline): Markup {
  const { bins } = timeline;
  if (bins.length === 0) return html`<p class="quiet">Nothing happened.</p>`;
  const height = top + timelineSeries.length * (laneHeight + laneGap) + axisHeight;
  const lanes = timelineSeries.map((series, at) => lane(timeline, series, top + at * (laneHeight + laneGap)));
  return html`<div class="scroll plot">
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="plot-title plot-what">
        <title id="plot-title">What happened over time</title>
        <desc id="plot-what">${describe(timeline)}</desc>
        ${lanes}${axis(timeline, height - axisHeight)}
      </svg>
    </div>
    <details>
      <summary>The same as a table, ${spanName(timeline.binSeconds)} a row</summary>
      ${numbers(timeline)}
    </details>`;
}

function lane({ bins, binSeconds }: Timeline, series: TimelineSeries, y: number): Markup {
  const most = Math.max(...bins.map((bin) => bin[series]));
  const step = (width - left - right) / bins.length;
  const bars = bins.map((bin, at) => {
    const count = bin[series];
    if (count === 0) return null;
    const tall = Math.max(2, (count / most) * laneHeight);
    const wide = Math.max(1.5, Math.min(step - 1, 40));
    return html`<rect
      class="bar${alarming.has(series) ? ' bad' : ''}"
      x="${round(left + at * step)}"
      y="${round(y + laneHeight - tall)}"
      width="${round(wide)}"
      height="${round(tall)}"
      ><title>${minuteOf(bin.from)} UTC, ${spanName(binSeconds)}: ${count} ${names[series]}</title></rect
    >`;
  });
  const total = bins.reduce((sum, bin) => sum + bin[series], 0);
  return html`<g
    ><text class="name" x="8" y="${y + 20}">${names[series]}</text>
    <text x="8" y="${y + 38}">${total}${total === 0 ? '' : `, at most ${most}`}</text>
    <line
      class="base"
      x1="${left}"
      x2="${width - right}"
      y1="${y + laneHeight}"
      y2="${y + laneHeight}"
    />${bars}</g
  > `;
}

/** Days where there are more than two, else times; at most about eight. UTC. */
function axis({ bins }: Timeline, y: number): Markup {
  const step = (width - left - right) / bins.length;
  const days = Date.parse(bins.at(-1)!.from) - Date.parse(bins[0]!.from) > 2 * 86_400_000;
  const places = [...bins.entries()].filter(([, { from }]) => !days || from.includes('T00:00:00'));
  const every = Math.ceil(places.length / 8);
  const ticks = places
    .filter((_, at) => at % every === 0)
    .map(([at, { from }]) => {
      const x = round(left + at * step);
      const label = days ? from.slice(0, 10) : from.slice(11, 19);
      return html`<line class="base" x1="${x}" x2="${x}" y1="${y - laneGap}" y2="${y - 10}" />
        <text x="${x}" y="${y + 4}">${label}</text>`;
    });
  return html`<g aria-hidden="true">
    <text x="8" y="${y + 4}">UTC${days ? null : `, ${bins[0]!.from.slice(0, 10)}`}</text>
    ${ticks}
  </g>`;
}

function describe({ bins, binSeconds }: Timeline): string {
  const parts = timelineSeries.map((series) => {
    const total = bins.reduce((sum, bin) => sum + bin[series], 0);
    const most = bins.reduce((best, bin) => (bin[series] > best[series] ? bin : best));
    const peak = total === 0 ? '' : ` (most, ${most[series]}, from ${minuteOf(most.from)})`;
    return `${total} ${names[series]}${peak}`;
  });
  return `Bars of ${spanName(binSeconds)} from ${minuteOf(bins[0]!.from)} to ${minuteOf(bins.at(-1)!.from)} UTC: ${parts.join('; ')}.`;
}

function numbers({ bins }: Timeline): Markup {
  const rows = bins
    .filter((bin) => timelineSeries.some((series) => bin[series] > 0))
    .map(
      (bin) =>
        html`<tr>
          <th scope="row" class="time">${bin.from}</th>
          ${timelineSeries.map((series) => html`<td class="number">${bin[series]}</td>`)}
        </tr> `,
    );
  return html`<div class="scroll">
    <table>
      <caption>
        What happened over time, UTC; stretches in which nothing did are left out
      </caption>
      <thead>
        <tr>
          <th scope="col">from</th>
          ${timelineSeries.map((series) => html`<th scope="col" class="number">${names[series]}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
const minuteOf = (time: string): string => time.slice(0, 19).replace('T', ' ');

function spanName(seconds: number): string {
  const [count, unit] =
    seconds % 86_400 === 0
      ? [seconds / 86_400, 'day']
      : seconds % 3600 === 0
        ? [seconds / 3600, 'hour']
        : seconds % 60 === 0
          ? [seconds / 60, 'minute']
          : [seconds, 'second'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
