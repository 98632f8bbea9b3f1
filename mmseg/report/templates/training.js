// The page of trainings: one run, or several over each other.
const data = block('data'), runs = data.runs, alone = runs.length === 1;
const text = (value) => typeof value === 'string' ? value : value == null ? 'n/a' : short(value);
const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.latest)))].filter((name) => !name.includes('.'));

sortable($('#runs'), [
  { name: 'run', value: (run) => run.name, cell: (run) => run.name },
  { name: 'iteration', value: (run) => run.iteration, cell: (run) => count(run.iteration) + (run.length ? ` of ${count(run.length)}` : '') },
  { name: 'time left', value: (run) => run.left, cell: (run) => run.left ?? 'n/a' },
  ...metrics.map((name) => ({ name, value: (run) => run.latest[name], title: 'last, and best in brackets',
    cell: (run) => run.latest[name] == null ? 'n/a' : `${run.latest[name].toFixed(2)} (${run.best[name].toFixed(2)})` })),
  { name: 'left out', value: (run) => run.left_out.length, cell: (run) => String(run.left_out.length), title: 'steps left out' },
], runs, { by: 'run', descending: false });

function smoothed(y, over) {
  if (over < 2) return y;
  let sum = 0;
  return y.map((value, i) => {
    sum += value - (i >= over ? y[i - over] : 0);
    return sum / Math.min(i + 1, over);
  });
}
function draw() {
  const over = +$('#smooth').value;
  $('#plots').replaceChildren();
  const marks = runs.flatMap((run) => run.starts.filter((start) => start.resumed).map((start) => [start.resumed, `resumed ${start.name}`]));
  for (const { title, names, log } of data.plots) {
    const kind = title === 'Validation' ? 'val' : 'train';
    const curves = (run, of) => of.filter((name) => run[kind][name]).map((name) => ({ name: alone ? name : run.name,
      x: run[kind][name].x, y: kind === 'val' ? run[kind][name].y : smoothed(run[kind][name].y, over) }));
    const options = { xLabel: 'iteration', logY: log, marks, points: kind === 'val' };
    if (alone) {
      const series = curves(runs[0], names);
      if (series.length) plot($('#plots'), series, { title, ...options });
    } else for (const name of names) {
      const series = runs.flatMap((run) => curves(run, [name]));
      if (series.length) plot($('#plots'), series, { title: `${title}: ${name}`, ...options });
    }
  }
}
$('#smooth').onchange = draw;
draw();

const samples = block('samples');
for (const [run, images] of Object.entries(samples)) for (const [name, times] of Object.entries(images)) {
  $('#predictions').hidden = false;
  $('#sample-rows').append(el('h3', {}, alone ? name : `${run}: ${name}`), el('div', { class: 'shots' }, ...times.map(([iteration, picture]) =>
    el('figure', {}, el('img', { src: `data:image/jpeg;base64,${picture}`, loading: 'lazy', style: 'width:100%', alt: `annotation and prediction of ${name} after ${iteration} iterations` }),
      el('figcaption', {}, `after ${count(iteration)}`)))));
}
if (!$('#predictions').hidden) $('nav').insertBefore(el('a', { href: '#samples' }, 'Predictions'), $('nav').children[2]);

const starts = runs.flatMap((run) => run.starts.map((start) => ({ run: run.name, ...start })));
sortable($('#start-table'), [
  { name: 'start', value: (start) => start.name, cell: (start) => alone ? start.name : `${start.run}, ${start.name}` },
  { name: 'after iteration', value: (start) => start.resumed, cell: (start) => count(start.resumed) },
  { name: 'from', wide: true, value: (start) => start.source, cell: (start) => start.source.split(/[\\/]/).pop() },
  { name: 'changed', value: (start) => start.changes.length, cell: (start) => el('div', { class: 'words' }, ...(start.changes.length ? start.changes.map((change) => el('div', {}, change)) : [start.resumed ? 'nothing' : ''])) },
], starts, { by: 'start', descending: false });

const skipped = runs.flatMap((run) => run.left_out.map(([iteration, reason]) => ({ run: run.name, iteration, reason })));
$('#skipped-none').hidden = skipped.length > 0;
if (skipped.length) sortable($('#skipped-table'), [
  { name: 'run', value: (step) => step.run, cell: (step) => step.run },
  { name: 'iteration', value: (step) => step.iteration, cell: (step) => count(step.iteration) },
  { name: 'reason', value: (step) => step.reason, cell: (step) => el('div', { class: 'words' }, step.reason) },
], skipped, { by: 'iteration', descending: false });
