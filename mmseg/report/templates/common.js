// What all pages share: elements, theme, tables that sort, line plots.
const $ = (query, root = document) => root.querySelector(query);
const json = (name) => document.getElementById(`json-${name}`).textContent;
const block = (name) => JSON.parse(json(name));

function el(tag, attributes = {}, ...children) {
  const made = tag.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const percent = (x, digits = 2) => x == null ? 'n/a' : (100 * x).toFixed(digits);
const compact = new Intl.NumberFormat('en', { notation: 'compact' });
const short = (x) => x == null ? 'n/a' : Math.abs(x) >= 1e4 ? compact.format(x) : x && Math.abs(x) < 1e-3 ? x.toExponential(1)
  : String(+x.toPrecision(4));
const count = (x) => x.toLocaleString('en');

// Theme: the system's until the switch says otherwise; kept where the browser allows it.
const dark = matchMedia('(prefers-color-scheme: dark)');
const redraws = [];
function theme(chosen) {
  let kept = null;
  try {
    if (chosen) localStorage.setItem('lrformer-theme', chosen);
    kept = localStorage.getItem('lrformer-theme');
  } catch { /* a browser that keeps nothing */ }
  const now = chosen || kept || (dark.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = now;
  const other = now === 'dark' ? 'light' : 'dark';
  Object.assign($('#theme'), { textContent: other === 'dark' ? '☾ dark' : '☀ light', onclick: () => theme(other) });
  $('#theme').setAttribute('aria-label', `Switch to ${other} colours`);
  redraws.forEach((draw) => draw());
}
theme();
dark.addEventListener('change', () => theme());
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

for (const heading of document.querySelectorAll('main h2[id]')) {
  if (!heading.closest('[hidden]')) $('nav').append(el('a', { href: `#${heading.id}` }, heading.textContent));
}

// A table whose columns sort. columns: {name, title, cell(row) -> Node or text, value(row), wide}.
function sortable(table, columns, rows, { by, descending = true, filter = () => true } = {}) {
  let state = { by, descending };
  const head = el('tr'), body = el('tbody');
  for (const column of columns) {
    const choose = () => {
      state = { by: column.name, descending: state.by === column.name ? !state.descending : column.value(rows[0]) === 0
        || typeof column.value(rows[0]) !== 'string' };
      draw();
    };
    head.append(el('th', { scope: 'col', 'data-name': column.name, class: column.wide ? 'wide' : null },
      el('button', { type: 'button', title: column.title, onclick: choose }, column.label || column.name)));
  }
  function draw() {
    const value = columns.find((column) => column.name === state.by).value;
    const sign = state.descending ? -1 : 1;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x == null || y == null) return (x == null) - (y == null);
      return sign * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y);
    };
    for (const cell of head.children) {
      const sorted = cell.dataset.name === state.by ? (state.descending ? 'descending' : 'ascending') : 'none';
      cell.setAttribute('aria-sort', sorted);
    }
    body.replaceChildren(...rows.filter(filter).sort(order).map((row) => el('tr', {}, ...columns.map((column) =>
      el('td', { 'data-name': column.name, class: column.wide ? 'wide' : null }, column.cell(row))))));
  }
  table.append(el('thead', {}, head), body);
  draw();
  return draw;
}

const swatch = (row) => el('span', { class: 'swatch', style: `background:${row.colour}` });
function bar(value, low, high) {
  const track = el('i', { style: `--v:${percent(value ?? 0)}%`, 'aria-hidden': 'true' });
  if (low != null) track.append(el('u', { style: `left:${percent(low)}%;width:${percent(high - low)}%` }));
  return el('div', { class: 'bar' }, track, el('span', {}, percent(value)));
}

function tiles(place, entries) {
  place.append(...entries.map(([name, value]) => el('div', { class: 'tile' }, el('b', { 'data-metric': name }, value),
    el('span', {}, name))));
}

function facts(place, entries) {
  for (const [name, value] of Object.entries(entries)) place.append(el('dt', {}, name), el('dd', {}, String(value)));
}

function ticks(low, high, wanted = 5) {
  const raw = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= raw);
  const first = Math.ceil(low / step), last = Math.floor(high / step + 1e-6);
  return Array.from({ length: Math.max(0, Math.min(last - first + 1, 20)) }, (_, i) => +((first + i) * step).toPrecision(10));
}

// A line plot. series: {name, x, y, dashed, low, high}; options: xLabel, yLabel, logX, logY, y0, y1, marks: [x, text].
function plot(place, series, { title, note, xLabel = '', yLabel = '', logX = false, logY = false, y0, y1, xTicks, marks = [],
  format = short, points = false } = {}) {
  const W = 520, H = 280, left = 58, right = 14, top = 12, bottom = 42;
  const fx = logX ? Math.log : (x) => x, fy = logY ? Math.log : (y) => y;
  const drawn = series.map((line, i) => ({ ...line, colour: line.colour || `var(--s${i % 8})` }));
  const xs = drawn.flatMap((line) => line.x), fits = (y) => y != null && (!logY || y > 0);
  const ys = drawn.flatMap((line) => [...line.y, ...(line.low || []), ...(line.high || [])]).filter(fits);
  let [x0, x1] = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  let low = y0 ?? (ys.length ? Math.min(...ys) : 0), high = y1 ?? (ys.length ? Math.max(...ys) : 1);
  if (logY && !ys.length) [low, high] = [0.1, 1];
  if (x0 === x1) [x0, x1] = [x0 - (logX ? x0 / 2 : 1), x1 + 1];
  if (high - low <= 1e-9 * Math.abs(high)) [low, high] = logY ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
  const px = (x) => left + (fx(x) - fx(x0)) / (fx(x1) - fx(x0)) * (W - left - right);
  const py = (y) => H - bottom - (fy(y) - fy(low)) / (fy(high) - fy(low)) * (H - top - bottom);
  const name = [title, yLabel, 'against', xLabel].join(' ');
  const svg = el('svg:svg', { class: 'chart', viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': name });
  const text = (x, y, words, attributes = {}) => {
    const made = el('svg:text', { x, y, ...attributes });
    made.textContent = words;
    svg.append(made);
  };
  const decades = (a, b) => {
    const found = [];
    for (let power = Math.floor(Math.log10(a)); power <= Math.log10(b) + 1; power++)
      for (const times of b / a > 1000 ? [1] : [1, 2, 5]) if (times * 10 ** power >= a && times * 10 ** power <= b) found.push(times * 10 ** power);
    return found.length > 1 ? found : [a, b];
  };
  for (const y of logY ? decades(low, high) : ticks(low, high)) {
    svg.append(el('svg:line', { class: 'grid', x1: left, x2: W - right, y1: py(y), y2: py(y) }));
    text(left - 6, py(y) + 4, format(y), { 'text-anchor': 'end' });
  }
  for (const x of xTicks || (logX ? decades(x0, x1) : ticks(x0, x1))) {
    svg.append(el('svg:line', { class: 'grid', x1: px(x), x2: px(x), y1: H - bottom, y2: H - bottom + 4 }));
    text(px(x), H - bottom + 17, short(x), { 'text-anchor': 'middle' });
  }
  text((left + W - right) / 2, H - 6, xLabel, { 'text-anchor': 'middle' });
  text(14, (top + H - bottom) / 2, yLabel, { 'text-anchor': 'middle', transform: `rotate(-90 14 ${(top + H - bottom) / 2})` });
  for (const [x, words] of marks) {
    const line = el('svg:line', { class: 'mark', x1: px(x), x2: px(x), y1: top, y2: H - bottom });
    line.append(el('svg:title', {}, words));
    svg.append(line);
  }
  for (const line of drawn) {
    if (line.low) {
      const ends = [...line.x.map((x, i) => [x, line.high[i]]), ...line.x.map((x, i) => [x, line.low[i]]).reverse()];
      const shape = ends.filter(([, y]) => fits(y)).map(([x, y]) => `${px(x)},${py(y)}`).join(' ');
      svg.append(el('svg:polygon', { points: shape, fill: line.colour, opacity: 0.18 }));
    }
    let pen = 'M';
    const path = line.x.map((x, i) => {
      if (!fits(line.y[i])) { pen = 'M'; return ''; }
      const step = `${pen}${px(x).toFixed(1)} ${py(Math.max(low, Math.min(high, line.y[i]))).toFixed(1)}`;
      pen = 'L';
      return step;
    }).join('');
    svg.append(el('svg:path', { d: path, stroke: line.colour, 'stroke-dasharray': line.dashed ? '5 4' : null }));
    if (points || line.x.length === 1) line.x.forEach((x, i) => fits(line.y[i])
      && svg.append(el('svg:circle', { cx: px(x), cy: py(line.y[i]), r: 3, fill: line.colour })));
  }
  const cursor = el('svg:line', { class: 'mark', y1: top, y2: H - bottom, visibility: 'hidden' });
  svg.append(cursor);
  const readout = el('output', { class: 'hint' });
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) / box.width * W;
    const found = drawn.filter((line) => line.x.length).map((line) => {
      const i = line.x.reduce((best, x, j) => Math.abs(px(x) - at) < Math.abs(px(line.x[best]) - at) ? j : best, 0);
      return [line, i];
    });
    if (!found.length) return;
    const x = found[0][0].x[found[0][1]];
    cursor.setAttribute('x1', px(x)); cursor.setAttribute('x2', px(x)); cursor.setAttribute('visibility', 'visible');
    readout.textContent = `${xLabel} ${short(x)}: ` + found.map(([line, i]) => `${line.name} ${format(line.y[i])}`).join(', ');
  });
  const legend = el('div', { class: 'legend' }, ...(drawn.length > 1 ? drawn : []).map((line) =>
    el('span', {}, el('span', { class: 'swatch', style: `background:${line.colour}` }), line.name)));
  place.append(el('figure', { class: 'plot' }, el('h3', {}, title), note ? el('p', { class: 'hint' }, note) : null,
    svg, legend, readout));
}
