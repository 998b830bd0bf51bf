/** The page's style: one column, tables that scroll by themselves, light and dark. */

export const PAGE_STYLE = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1d2126; --quiet: #5c6470; --rule: #e1e4e8;
  --good: #1a7f4b; --bad: #b3261e; --kept: #2f6fb3; --agreed: #c9862b; --dip: #8a5fb0; --mark: #f1f3f5; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1b1f25; --ink: #e6e8eb; --quiet: #9aa3ae; --rule: #2d333b;
    --good: #4cc38a; --bad: #ff6f61; --kept: #6ea8e6; --agreed: #e0a54e; --dip: #b992db; --mark: #23282f; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 40px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 6px 0 12px; }
.quiet { color: var(--quiet); }
.verdict { margin: 18px 0; padding: 14px 18px; border-radius: 8px; background: var(--card); border: 1px solid var(--rule);
  border-left: 5px solid var(--good); font-size: 16px; }
.verdict.bad { border-left-color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 10px; margin: 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
.figures dt { color: var(--quiet); font-size: 12.5px; }
.figures dd { margin: 0; font-size: 19px; font-variant-numeric: tabular-nums; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; overflow-x: auto; }
.plot { display: block; width: 100%; min-width: 560px; height: auto; }
.plot .grid { stroke: var(--rule); }
.plot text { font: 11.5px system-ui, sans-serif; fill: var(--quiet); }
.plot .area { stroke: none; }
.plot .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.plot .area.kept { fill: var(--kept); opacity: .18; } .plot .line.kept { stroke: var(--kept); }
.plot .area.agreed { fill: var(--agreed); opacity: .32; } .plot .line.total { stroke: var(--ink); }
.plot .area.dip { fill: var(--dip); opacity: .25; } .plot .line.dip { stroke: var(--dip); }
.plot line.theft { stroke: var(--bad); stroke-dasharray: 4 3; } .plot text.theft { fill: var(--bad); font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; }
.legend .kept { background: var(--kept); } .legend .agreed { background: var(--agreed); }
.legend .total { background: var(--ink); } .legend .dip { background: var(--dip); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, .mono { font: 12.5px/1.45 ui-monospace, monospace; }
td code { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.silent { color: var(--quiet); font-size: 13px; }
.silent code { margin-right: 10px; }
ol, ul { padding-left: 22px; }
ol.story { list-style: none; padding: 0; margin: 0; }
ol.story li { padding: 6px 0; border-bottom: 1px solid var(--rule); }
ol.story li:last-child { border-bottom: 0; }
ol.story .attack { color: var(--bad); }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--quiet); }
`;
