// The page of a test: figures. Pictures are in viewer.js.
const data = block('data'), classes = data.classes;

$('#about').textContent = `${count(data.images.length)} images, ${classes.length} classes, ${data.run.time}`;
tiles($('#tiles'), [...Object.entries(data.metrics).filter(([name]) => !name.includes('.')).map(([name, value]) =>
  [name, value == null ? 'n/a' : value.toFixed(2)]),
  ['Boundary IoU', percent(mean(classes.map((row) => row.border)))],
  ...(data.scores ? [['calibration error', percent(data.scores.error)]] : []),
  ...(data.run.speed['images per second'] ? [['images per second', data.run.speed['images per second']]] : [])]);
$('#spread').textContent = `Other images of the same kind would give an mIoU of ${percent(data.spread[0])} to ${percent(data.spread[1])}`
  + ` (${data.level} %, bootstrap over images).`;

function mean(values) {
  const known = values.filter((value) => value != null);
  return known.length ? known.reduce((a, b) => a + b) / known.length : null;
}

// Classes
const wanted = (row) => row.name.toLowerCase().includes($('#class-filter').value.toLowerCase())
  && (row.IoU == null || 100 * row.IoU <= +$('#class-below').value);
const drawClasses = sortable($('#class-table'), [
  { name: 'class', value: (row) => row.name, cell: (row) => el('span', {}, swatch(row), row.name) },
  { name: 'IoU', value: (row) => row.IoU, cell: (row) => bar(row.IoU, row.low, row.high), title: 'intersection over union' },
  { name: 'accuracy', value: (row) => row.Acc, cell: (row) => bar(row.Acc), title: 'share of its pixels that are right' },
  { name: 'precision', wide: true, value: (row) => row.Precision, cell: (row) => percent(row.Precision), title: 'share of its predictions that are right' },
  { name: 'boundary IoU', wide: true, value: (row) => row.border, cell: (row) => percent(row.border), title: 'IoU within bands along borders' },
  { name: 'pixels', wide: true, value: (row) => row.share, cell: (row) => percent(row.share), title: 'share of the annotated pixels' },
], classes, { by: 'IoU', filter: wanted });
$('#class-filter').oninput = drawClasses;
$('#class-below').oninput = () => { $('#below').value = $('#class-below').value; drawClasses(); };

// Confusion
const matrix = data.matrix, sums = {
  row: matrix.map((row) => row.reduce((a, b) => a + b, 0)),
  column: matrix[0].map((_, j) => matrix.reduce((sum, row) => sum + row[j], 0)),
};
const canvas = $('#matrix'), C = classes.length;
let here = null, cellSize = 1, margin = 0;
const share = (i, j) => matrix[i][j] / ((sums[$('#norm').value])[$('#norm').value === 'row' ? i : j] || 1);
function drawMatrix() {
  const room = Math.min(canvas.parentElement.parentElement.clientWidth, 1000), named = C <= 40;
  margin = named ? Math.min(110, room / 4) : 0;
  cellSize = Math.max(2, Math.min(44, Math.floor((room - margin) / C)));
  const side = margin + cellSize * C, ratio = devicePixelRatio || 1;
  Object.assign(canvas, { width: side * ratio, height: side * ratio });
  Object.assign(canvas.style, { width: `${side}px`, height: `${side}px` });
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const back = colour('--panel'), ink = colour('--ink'), bad = colour('--s1'), good = colour('--s0');
  pen.font = `${Math.min(12, cellSize)}px system-ui, sans-serif`;
  pen.textBaseline = 'middle';
  for (let i = 0; i < C; i++) for (let j = 0; j < C; j++) {
    const [x, y, s] = [margin + j * cellSize, margin + i * cellSize, share(i, j)], gap = cellSize > 5 ? 1 : 0;
    pen.globalAlpha = 1;
    pen.fillStyle = back;
    pen.fillRect(x, y, cellSize - gap, cellSize - gap);
    if (i === j && !$('#diagonal').checked) continue;
    pen.globalAlpha = i === j ? s : Math.sqrt(s); // small confusions show
    pen.fillStyle = i === j ? good : bad;
    pen.fillRect(x, y, cellSize - gap, cellSize - gap);
    pen.globalAlpha = 1;
    if (cellSize >= 26 && s >= 0.005) {
      pen.fillStyle = ink;
      pen.textAlign = 'center';
      pen.fillText(Math.round(100 * s), x + cellSize / 2, y + cellSize / 2);
    }
  }
  pen.fillStyle = ink;
  const fit = (name) => { while (name.length > 2 && pen.measureText(name).width > margin - 8) name = `${name.slice(0, -2)}…`; return name; };
  if (named) classes.forEach((row, i) => {
    pen.textAlign = 'right';
    pen.fillText(fit(row.name), margin - 5, margin + (i + 0.5) * cellSize);
    pen.save();
    pen.translate(margin + (i + 0.5) * cellSize, margin - 5);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = 'left';
    pen.fillText(fit(row.name), 0, 0);
    pen.restore();
  });
  if (here) {
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.strokeRect(margin + here[1] * cellSize, margin + here[0] * cellSize, cellSize - 1, cellSize - 1);
  }
}
function pointAt(i, j) {
  here = i < 0 || j < 0 || i >= C || j >= C ? null : [i, j];
  drawMatrix();
  $('#cell').value = !here ? '' : `${classes[i].name} taken for ${classes[j].name}: ${count(matrix[i][j])} pixels, `
    + `${percent(matrix[i][j] / (sums.row[i] || 1))} % of ${classes[i].name}, `
    + `${percent(matrix[i][j] / (sums.column[j] || 1))} % of what was called ${classes[j].name}`;
}
canvas.onpointermove = (event) => pointAt(Math.floor((event.offsetY - margin) / cellSize), Math.floor((event.offsetX - margin) / cellSize));
canvas.onkeydown = (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const [i, j] = here || [0, 0], hold = (k) => Math.max(0, Math.min(C - 1, k));
  if (here) pointAt(hold(i + step[0]), hold(j + step[1])); else pointAt(0, 0);
};
$('#norm').onchange = $('#diagonal').onchange = drawMatrix;
redraws.push(drawMatrix);
addEventListener('resize', drawMatrix);
drawMatrix();
const pairs = [];
matrix.forEach((row, i) => row.forEach((n, j) => { if (n && i !== j) pairs.push({ i, j, n }); }));
pairs.sort((a, b) => b.n - a.n);
if (pairs.length) sortable($('#confusions'), [
  { name: 'is', value: (pair) => classes[pair.i].name, cell: (pair) => el('span', {}, swatch(classes[pair.i]), classes[pair.i].name) },
  { name: 'taken for', value: (pair) => classes[pair.j].name, cell: (pair) => el('span', {}, swatch(classes[pair.j]), classes[pair.j].name) },
  { name: 'of the class, %', wide: true, value: (pair) => pair.n / sums.row[pair.i], cell: (pair) => percent(pair.n / sums.row[pair.i]) },
  { name: 'pixels', value: (pair) => pair.n, cell: (pair) => count(pair.n) },
], pairs.slice(0, 12), { by: 'pixels' });

// Borders and sizes
const { widths } = data.borders, place = $('#border-plots'), axes = { xLabel: 'pixels from a border', logX: true, xTicks: widths, format: (y) => percent(y, 0), points: true };
for (const [figure, label] of [['miou', 'mIoU, %'], ['acc', 'accuracy, %']]) plot(place, [
  { name: 'within', x: widths, y: data.borders[`${figure}_within`] },
  { name: 'farther inside', x: widths, y: data.borders[`${figure}_beyond`] },
], { title: figure === 'miou' ? 'mIoU at borders' : 'Accuracy at borders', yLabel: label, ...axes });
plot(place, [{ name: 'pixels', x: widths, y: data.borders.share }], { title: 'Pixels within', yLabel: '% of all', y0: 0, ...axes });

const between = ([low, high]) => high == null ? `${low}² and more` : `${low ? `${low}² to ` : 'below '}${high}²`;
const sizeColumns = (chosen) => {
  const of = (row) => chosen === '' ? [row.recall, row.regions, row.found] : [row.recall_by_class[chosen], row.regions_by_class[chosen]];
  return [
    { name: 'area in pixels', value: (row) => row.side[0], cell: (row) => between(row.side) },
    { name: 'regions', value: (row) => of(row)[1], cell: (row) => count(of(row)[1]) },
    { name: 'recall', value: (row) => of(row)[0], cell: (row) => bar(of(row)[0]) },
    ...(chosen === '' ? [{ name: 'found', value: (row) => row.found, cell: (row) => bar(row.found) }] : []),
  ];
};
function drawSizes() {
  $('#size-table').replaceChildren();
  sortable($('#size-table'), sizeColumns($('#size-class').value), data.sizes, { by: 'area in pixels', descending: false });
}
classes.forEach((row, i) => { for (const list of ['#size-class', '#with']) $(list).append(el('option', { value: i }, row.name)); });
$('#size-class').onchange = drawSizes;
drawSizes();

// Confidence
if (data.scores) {
  const { wrong, right, accuracy, confidence, error } = data.scores, bins = wrong.length, some = confidence.map((x, i) => i).filter((i) => confidence[i] != null);
  const lowest = some[0] ?? 0, range = Array.from({ length: bins - lowest }, (_, i) => i + lowest), middle = range.map((i) => (i + 0.5) / bins);
  $('#sure').hidden = false;
  $('nav').insertBefore(el('a', { href: '#confidence' }, 'Confidence'), $('nav').lastChild);
  $('#sure-hint').textContent = `How probable the chosen class was said to be, and how often it was right. Expected calibration error: ${percent(error)} %.`;
  plot($('#sure-plots'), [
    { name: 'this model', x: some.map((i) => confidence[i]), y: some.map((i) => accuracy[i]) },
    { name: 'if it were as right as it is sure', x: [lowest / bins, 1], y: [lowest / bins, 1], dashed: true, colour: 'var(--soft)' },
  ], { title: 'Calibration', xLabel: 'confidence', yLabel: 'accuracy, %', format: (y) => percent(y, 0), y0: Math.min(lowest / bins, ...some.map((i) => accuracy[i])), y1: 1, points: true });
  plot($('#sure-plots'), [
    { name: 'right', x: middle, y: range.map((i) => right[i]), colour: 'var(--s2)' },
    { name: 'wrong', x: middle, y: range.map((i) => wrong[i]), colour: 'var(--s4)' },
  ], { title: 'Confidence of right and wrong pixels', xLabel: 'confidence', yLabel: 'pixels', logY: true });
}

// Run
facts($('#speed'), data.run.speed);
facts($('#facts'), { checkpoint: data.run.checkpoint, 'its SHA-256': data.run.sha256, ...data.run.versions });
$('#command').textContent = data.run.command;
$('#config').textContent = data.run.config;
