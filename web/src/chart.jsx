// SPDX-License-Identifier: Apache-2.0
// One number over the last minutes: its value now, and a line. Drawn here; no library.
const width = 300;
const height = 56;

const values_of = (points, name) => points.map((point) => point[name]).filter((value) => value !== null && value !== undefined);

function line_of(points, name, from, span, top) {
  let path = '';
  let gap = true;
  for (const point of points) {
    const value = point[name];
    if (value === null || value === undefined) {
      gap = true;
      continue;
    }
    const x = ((point.at - from) / span) * width;
    const y = height - 2 - (value / top) * (height - 6);
    path += `${gap ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}${gap ? 'h.01' : ''}`; // a lone point is a dot
    gap = false;
  }
  return path;
}

// lines: [{name, label}], the first is the one that is said large. format makes text of a value. least: the
// lowest the top of the chart is, so that next to nothing looks like that.
export function Chart({title, points, lines, format, quiet = 'nothing yet', least = 1e-9}) {
  const span = 300_000;
  const from = (points.at(-1)?.at ?? Date.now()) - span;
  const all = lines.flatMap((line) => values_of(points, line.name));
  const top = Math.max(least, ...all) * 1.1;
  const now = (name) => values_of(points.slice(-5), name).at(-1);
  const most = all.length ? format(Math.max(...all)) : '—';
  const said = lines.map((line) => `${line.label} ${now(line.name) === undefined ? quiet : format(now(line.name))}`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-now">
          {lines.map((line, at) => (
            <span key={line.name} class={`chart-value line${at}`}>
              <b>{now(line.name) === undefined ? '—' : format(now(line.name))}</b> <span>{line.label}</span>
            </span>
          ))}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img"
           aria-label={`${title}: ${said}; at most ${most} in five minutes`}>
        <line class="chart-base" x1="0" x2={width} y1={height - 1.5} y2={height - 1.5} />
        {lines.map((line, at) => <path key={line.name} class={`chart-line line${at}`} d={line_of(points, line.name, from, span, top)} />)}
      </svg>
      <p class="chart-foot"><span>5 min</span><span>most {most}</span><span>now</span></p>
    </figure>
  );
}
