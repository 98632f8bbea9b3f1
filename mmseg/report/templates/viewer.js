// Thumbnails, loaded when they come into sight, and one image at a time: image | annotation | prediction | errors.
const LAYERS = ['image', 'annotation', 'prediction', 'errors'];

const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
  seen.unobserve(target);
  const thumb = thumbs()[target.dataset.index];
  if (thumb) target.src = url('jpeg', thumb);
}), { rootMargin: '300px' });

let shown = [];
function iouOf(index, chosen) {
  const [, score, [labels, hit, labelled, predicted]] = data.images[index];
  if (chosen === '') return score;
  const at = labels.indexOf(+chosen);
  return at < 0 ? null : hit[at] / (labelled[at] + predicted[at] - hit[at]);
}
function drawCards() {
  const group = $('#group').value, chosen = $('#with').value, part = $('#image-filter').value.toLowerCase();
  let members = group === 'all' || chosen !== '' ? data.images.map((_, i) => i) : data.groups[group];
  members = members.filter((i) => (chosen === '' || iouOf(i, chosen) != null) && data.images[i][0].toLowerCase().includes(part));
  if (group === 'all' || chosen !== '') members.sort((a, b) => (iouOf(a, chosen) ?? 2) - (iouOf(b, chosen) ?? 2));
  if (group === 'best' && chosen !== '') members.reverse();
  if (group === 'median' && chosen !== '') {
    const middle = iouOf(members[members.length >> 1], chosen);
    members.sort((a, b) => Math.abs(iouOf(a, chosen) - middle) - Math.abs(iouOf(b, chosen) - middle));
  }
  shown = members.slice(0, group === 'all' ? 2000 : 24);
  $('#cards').replaceChildren(...shown.map((i) => {
    const picture = el('img', { alt: '', 'data-index': i });
    seen.observe(picture);
    return el('button', { class: 'card', type: 'button', onclick: () => show(i) }, picture,
      el('span', { class: 'name', title: data.images[i][0] }, fileName(data.images[i][0])), el('span', {}, percent(iouOf(i, chosen), 1)));
  }));
}
$('#images-hint').textContent = `By the mean IoU of the classes that an image has, or by the IoU of one class. Of ${count(data.images.length)} images `
  + `${count(json('pictures').split('"image":').length - 1)} can be opened at full size: the worst, the best, and a sample that does not depend on the figures.`;
$('#group').onchange = $('#with').onchange = $('#image-filter').oninput = drawCards;
drawCards();

// The viewer
const viewer = $('#viewer'), views = $('#views'), colours = classes.map(channels);
let current = 0, active = new Set(), maps = null, zoom = { scale: 1, x: 0, y: 0 };

async function show(index) {
  current = index;
  const [name, score] = data.images[index], picture = pictures()[index];
  $('#view-name').textContent = name;
  $('#view-figures').textContent = `mean IoU ${percent(score, 1)}`;
  if (!viewer.open) viewer.showModal();
  maps = picture ? await decoded(picture) : null;
  const labels = data.images[index][2][0];
  active = new Set(labels);
  $('#view-classes').replaceChildren(...(maps ? [el('button', { type: 'button', onclick: () => check(active.size ? [] : labels) }, 'all / none')] : []), ...labels.map((i) => {
    const box = el('input', { type: 'checkbox', value: i, checked: true, disabled: !maps, onchange: () => { box.checked ? active.add(i) : active.delete(i); paint(); } });
    return el('label', {}, box, swatch(classes[i]), `${classes[i].name} ${percent(iouOf(index, String(i)), 1)}`);
  }));
  arrange();
}
function check(labels) {
  active = new Set(labels);
  for (const box of $('#view-classes').querySelectorAll('input')) box.checked = active.has(+box.value);
  paint();
}
// One layer as pixels. Errors of one class alone: missed orange, false alarms blue, hits green; of several: red.
function layer(name) {
  const { width, height } = maps.image, made = new ImageData(width, height), out = made.data, source = maps.image.data;
  const opacity = $('#opacity').value / 100, only = active.size === 1 ? [...active][0] : null;
  const { annotation, prediction } = maps, map = maps[name];
  for (let i = 0, k = 0; i < width * height; i++, k += 4) {
    let paint = null, strength = opacity, base = [source[k], source[k + 1], source[k + 2]];
    if (name === 'errors') {
      const [is, said] = [annotation[i], prediction[i]];
      const gray = 0.3 * base[0] + 0.6 * base[1] + 0.1 * base[2];
      base = [gray, gray, gray];
      strength = 0.25 + 0.75 * opacity;
      if (is === NOTHING) { paint = [0, 0, 0]; strength = 0.6; }
      else if (only !== null) paint = is === only ? (said === only ? [40, 160, 70] : [255, 140, 0]) : said === only ? [40, 120, 255] : null;
      else if (is !== said && (active.has(is) || active.has(said))) paint = [230, 30, 40];
    } else if (map instanceof Uint16Array && active.has(map[i])) paint = colours[map[i]];
    for (let c = 0; c < 3; c++) out[k + c] = paint ? base[c] + (paint[c] - base[c]) * strength : base[c];
    out[k + 3] = 255;
  }
  return made;
}
function arrange() {
  const sliding = $('#mode').value === 'slide';
  for (const id of ['#pair', '#split-label']) $(id).hidden = !sliding;
  if (!maps) {
    const thumb = thumbs()[current];
    views.replaceChildren(thumb ? el('figure', { class: 'view' }, el('img', { src: url('jpeg', thumb), alt: 'the prediction, small' })) : el('p', {}, 'no picture was kept'));
    $('#view-hint').textContent = 'Only a small picture was kept of this image: lrformer test --report-images N keeps more.';
    return;
  }
  const sheet = (name, extra) => el('canvas', { 'data-layer': name, width: maps.image.width, height: maps.image.height, role: 'img', 'aria-label': name, class: extra });
  const names = sliding ? [[$('#left').value, $('#right').value]] : LAYERS.map((name) => [name]);
  views.replaceChildren(...names.map(([under, over]) => el('figure', { class: 'view' }, sheet(under), over ? sheet(over, 'over') : null,
    el('figcaption', {}, under), over ? el('figcaption', { class: 'right' }, over) : null)));
  paint();
}
function paint() {
  if (!maps) return;
  for (const sheet of views.querySelectorAll('canvas')) sheet.getContext('2d').putImageData(layer(sheet.dataset.layer), 0, 0);
  $('#view-hint').textContent = active.size === 1
    ? `errors of ${classes[[...active][0]].name}: green right, orange missed, blue false alarm, dark not annotated`
    : 'errors: red where it is wrong, dark where nothing is annotated. With one class alone: missed, false alarms and hits.';
  place_views();
}
function place_views() {
  const { scale, x, y } = zoom;
  for (const view of views.children) {
    view.classList.toggle('near', scale > 3);
    for (const sheet of view.querySelectorAll('canvas')) {
      sheet.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      if (sheet.classList.contains('over')) {
        const cut = (view.clientWidth * $('#split').value / 100 - x) / scale; // in the sheet's own pixels
        sheet.style.clipPath = `inset(0 0 0 ${cut}px)`;
      }
    }
  }
}
function zoomBy(times, at) {
  const view = views.firstElementChild;
  if (!view) return;
  const [cx, cy] = at || [view.clientWidth / 2, view.clientHeight / 2], scale = Math.max(1, Math.min(24, zoom.scale * times));
  const keep = (c, offset, side) => Math.min(0, Math.max(side * (1 - scale), c - (c - offset) * scale / zoom.scale));
  zoom = { scale, x: keep(cx, zoom.x, view.clientWidth), y: keep(cy, zoom.y, view.clientHeight) };
  place_views();
}
views.addEventListener('wheel', (event) => {
  const view = event.target.closest('.view');
  if (!view) return;
  event.preventDefault();
  const box = view.getBoundingClientRect();
  zoomBy(event.deltaY < 0 ? 1.25 : 0.8, [event.clientX - box.left, event.clientY - box.top]);
}, { passive: false });
views.addEventListener('pointermove', (event) => {
  const view = event.target.closest('.view');
  if (!view || !(event.buttons & 1)) return;
  const hold = (offset, side) => Math.min(0, Math.max(side * (1 - zoom.scale), offset));
  zoom = { ...zoom, x: hold(zoom.x + event.movementX, view.clientWidth), y: hold(zoom.y + event.movementY, view.clientHeight) };
  place_views();
});
LAYERS.forEach((name) => { for (const list of ['#left', '#right']) $(list).append(el('option', {}, name)); });
$('#left').value = 'annotation';
$('#right').value = 'prediction';
const walk = (step) => { const at = shown.indexOf(current) + step; if (shown[at] != null) show(shown[at]); };
$('#previous').onclick = () => walk(-1);
$('#next').onclick = () => walk(1);
$('#mode').onchange = $('#left').onchange = $('#right').onchange = arrange;
$('#opacity').oninput = paint;
$('#split').oninput = place_views;
$('#zoom-in').onclick = () => zoomBy(1.5);
$('#zoom-out').onclick = () => zoomBy(1 / 1.5);
$('#zoom-reset').onclick = () => { zoom = { scale: 1, x: 0, y: 0 }; place_views(); };
$('#close').onclick = () => viewer.close();
viewer.onkeydown = (event) => {
  if (['INPUT', 'SELECT'].includes(event.target.tagName) && event.target.type !== 'checkbox') return;
  const act = { ArrowLeft: '#previous', ArrowRight: '#next', '+': '#zoom-in', '-': '#zoom-out', 0: '#zoom-reset' }[event.key];
  if (act) { event.preventDefault(); $(act).click(); }
};
