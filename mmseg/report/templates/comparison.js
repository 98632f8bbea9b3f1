// The page that puts tests side by side.
const data = block('data'), { runs, classes } = data, colours = classes.map(channels);
$('#about').textContent = `${runs.length} tests of ${count(data.count)} images, ${classes.length} classes`;

const signed = (x) => x == null ? 'n/a' : `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(2)}`;
function difference(value, [low, high]) {
  if (value == null || low == null) return 'n/a';
  const sure = low > 0 || high < 0, words = `${signed(value)} [${signed(100 * low)}, ${signed(100 * high)}]`;
  return el(sure ? 'b' : 'span', { class: sure ? (value > 0 ? 'up' : 'down') : null }, words);
}
const metrics = Object.keys(runs[0].metrics).filter((name) => !name.includes('.'));
sortable($('#runs'), [
  { name: 'run', value: (run) => run.name, cell: (run) => run.name },
  ...metrics.map((name) => ({ name, value: (run) => run.metrics[name], cell: (run) => run.metrics[name]?.toFixed(2) ?? 'n/a' })),
  { name: 'mIoU to the first', value: (run) => run.metrics.mIoU - runs[0].metrics.mIoU,
    cell: (run) => run === runs[0] ? '' : difference(run.metrics.mIoU == null ? null : run.metrics.mIoU - runs[0].metrics.mIoU, run.difference) },
  { name: 'images per second', wide: true, value: (run) => +run.speed['images per second'], cell: (run) => run.speed['images per second'] ?? 'n/a' },
  { name: 'checkpoint', wide: true, value: (run) => run.checkpoint, cell: (run) => fileName(run.checkpoint) },
], runs, { by: 'mIoU' in runs[0].metrics ? 'mIoU' : 'run' });

const rows = classes.map((row, i) => ({ ...row, i }));
const of = (run, row) => run.IoU[row.i] == null || runs[0].IoU[row.i] == null ? null : 100 * (run.IoU[row.i] - runs[0].IoU[row.i]);
const ends = (run, row) => [run.differences[0][row.i], run.differences[1][row.i]];
const sure = (row) => runs.slice(1).some((run) => ends(run, row)[0] > 0 || (ends(run, row)[1] ?? 0) < 0);
const label = (run) => String.fromCharCode(65 + runs.indexOf(run) % 26);
const drawClasses = sortable($('#class-table'), [
  { name: 'class', value: (row) => row.name, cell: (row) => el('span', {}, swatch(row), row.name) },
  ...runs.map((run) => ({ name: `IoU ${label(run)}`, title: run.name, value: (row) => run.IoU[row.i], cell: (row) => bar(run.IoU[row.i]) })),
  ...runs.slice(1).map((run) => ({ name: `${label(run)} − A`, title: `${run.name} against ${runs[0].name}`, value: (row) => of(run, row), cell: (row) => difference(of(run, row), ends(run, row)) })),
], rows, { by: `${label(runs[1])} − A`, filter: (row) => row.name.toLowerCase().includes($('#class-filter').value.toLowerCase()) && (!$('#sure-only').checked || sure(row)) });
$('#class-table').before(el('p', { class: 'hint' }, runs.map((run) => `${label(run)}: ${run.name}`).join(' · ')));
$('#class-filter').oninput = $('#sure-only').onchange = drawClasses;

// Pictures are painted when they come into sight.
async function paint(place, picture, layer) {
  const maps = await decoded(picture), { image } = maps, map = maps[layer];
  for (let i = 0; i < map.length; i++) if (map[i] < colours.length)
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 0.4 * image.data[4 * i + c] + 0.6 * colours[map[i]][c];
  const sheet = el('canvas', { width: image.width, height: image.height, style: 'width:100%;display:block', role: 'img', 'aria-label': layer });
  sheet.getContext('2d').putImageData(image, 0, 0);
  place.prepend(sheet);
}
const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
  seen.unobserve(target);
  const k = +target.dataset.image, kept = pictures()[k], any = kept.find((picture) => picture);
  const figure = (words) => { const made = el('figure', {}, el('figcaption', {}, words)); target.append(made); return made; };
  if (any) paint(figure('annotation'), any, 'annotation');
  runs.forEach((run, r) => {
    const place = figure(`${label(run)} ${run.name}: ${percent(data.images[k][1][r], 1)}`), thumb = thumbs()[k][r];
    if (kept[r]) paint(place, kept[r], 'prediction');
    else place.prepend(thumb ? el('img', { src: url('jpeg', thumb), alt: 'the prediction, small', style: 'width:100%' }) : el('p', {}, 'no picture was kept'));
  });
}), { rootMargin: '200px' });
data.images.forEach(([name], k) => {
  const place = el('div', { class: 'row', 'data-image': k });
  $('#image-rows').append(el('h3', {}, fileName(name)), place);
  seen.observe(place);
});
