/** The page's only style: it names no other resource, so that the page opens without a network. Light, dark and print. */
export const style = `
:root { color-scheme: light dark; --page: #f9f9f7; --card: #fcfcfb; --ink: #0b0b0b; --quiet: #52514e; --line: #d9d8d3;
  --bar: #2a78d6; --bad: #b92f2f; --good: #0a6b0a; --warn: #7a5200; }
@media (prefers-color-scheme: dark) { :root { --page: #0d0d0d; --card: #1a1a19; --ink: #fff; --quiet: #c3c2b7; --line: #3a3a37;
  --bar: #5a9ff0; --bad: #ff8a80; --good: #5fd35f; --warn: #fab219; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 8px; }
h3 { font-size: 15px; margin: 16px 0 4px; }
p { margin: 4px 0; max-width: 80ch; }
.quiet, small, caption { color: var(--quiet); }
small { display: block; font-size: 12px; overflow-wrap: anywhere; }
.verdict { border: 1px solid var(--line); border-left-width: 6px; background: var(--card); padding: 12px 16px; margin: 20px 0; }
.verdict strong { font-size: 17px; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.verdict.good, .verdict.bad, .verdict.warn { border-left-color: currentColor; }
.verdict p { color: var(--ink); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin: 20px 0; padding: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px; }
.tiles dt { color: var(--quiet); font-size: 13px; }
.tiles dd { margin: 0; font-size: 24px; font-weight: 600; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
.plot { padding: 8px 4px; } .plot svg { display: block; width: 100%; min-width: 680px; }
svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
svg .name { fill: var(--ink); font-weight: 600; }
svg .bar { fill: var(--bar); } svg .bar.bad { fill: var(--bad); }
svg .base { stroke: var(--line); } svg .bar:hover { fill: var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
caption { text-align: left; padding: 8px 12px; }
th, td { text-align: left; vertical-align: top; padding: 7px 12px; border-top: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; } tbody th { white-space: normal; }
thead th { border-top: 0; color: var(--quiet); font-size: 13px; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.word { white-space: nowrap; margin-right: 6px; }
.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
details { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: 8px 0; }
summary { cursor: pointer; padding: 10px 14px; } summary strong { display: inline-block; min-width: 64px; }
details > div { padding: 0 14px 12px; } details .scroll { border: 0; border-radius: 0; }
summary:focus-visible, a:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px; }
footer { margin-top: 48px; color: var(--quiet); font-size: 13px; }
@media print { :root { --page: #fff; --card: #fff; } main { max-width: none; } details, table { break-inside: avoid; } }
`;
