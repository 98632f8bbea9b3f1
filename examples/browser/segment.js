// A picture to its class indices in the browser, with onnxruntime-web (`ort`) and a file of `lrformer export --to onnx`.
// Pixels are read as they are: the model sees the picture at its own size.

/** What `lrformer export` wrote into the file: classes, palette, mean, std, ... */
export function metadata(bytes) {
  const text = new TextDecoder();
  const view = new Uint8Array(bytes);
  // ONNX is a protocol buffer: fields, each a key (number * 8 + kind) and a value. Metadata is field 14 of the model.
  function* fields(at, end) {
    const varint = () => {
      let value = 0, factor = 1;
      for (;;) {
        const byte = view[at++];
        value += (byte & 127) * factor;
        if (byte < 128) return value;
        factor *= 128;
      }
    };
    while (at < end) {
      const key = varint(), kind = key % 8;
      const length = kind === 2 ? varint() : kind === 1 ? 8 : kind === 5 ? 4 : 0;
      if (kind === 0) varint();
      yield { number: Math.floor(key / 8), start: at, end: at + length };
      at += length;
    }
  }
  for (const field of fields(0, view.length)) {
    if (field.number !== 14) continue;
    const [key, value] = [...fields(field.start, field.end)].map((f) => text.decode(view.subarray(f.start, f.end)));
    if (key === 'lrformer') return JSON.parse(value);
  }
  throw new Error('this file was not written by `lrformer export`: it has no entry "lrformer" in its metadata');
}

/** ImageData -> colours: as bytes, 1 x H x W x 3, or normalised, 1 x 3 x H x W. */
export function toInput({ data, width, height }, { input: kind, channel_order: order, mean, std }) {
  const size = width * height;
  if (kind === 'image') {
    return new ort.Tensor('uint8', data.filter((_, i) => i % 4 < 3), [1, height, width, 3]);
  }
  const input = new Float32Array(3 * size);
  for (let c = 0; c < 3; c++) {
    const from = order === 'BGR' ? 2 - c : c, m = mean[c] ?? 0, s = std[c] ?? 1;
    for (let i = 0; i < size; i++) input[c * size + i] = (data[4 * i + from] - m) / s;
  }
  return new ort.Tensor('float32', input, [1, 3, height, width]);
}

/** Where each pixel of an axis lies between two cells of a coarser one. */
function places(cells, pixels) {
  return Array.from({ length: pixels }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * cells) / pixels - 0.5), low = Math.min(Math.floor(at), cells - 1);
    return { low, high: Math.min(low + 1, cells - 1), share: at - low };
  });
}

/** A row of pixels of maps, n x h x w, after bilinear interpolation: n x width. */
function pixelRow({ data, dims: [, n, h, w] }, { low, high, share: t }, columns) {
  const row = new Float32Array(n * columns.length);
  for (let c = 0, i = 0; c < n; c++) {
    const above = (c * h + low) * w, below = (c * h + high) * w;
    for (const { low: l, high: r, share: s } of columns) {
      row[i++] = (data[above + l] * (1 - s) + data[above + r] * s) * (1 - t) + (data[below + l] * (1 - s) + data[below + r] * s) * t;
    }
  }
  return row;
}

/** Class logits of queries, 1 x Q x (classes + 1), the last one "no object" -> probabilities, classes x Q. */
function classProbabilities({ data, dims: [, queries, logits] }) {
  const probabilities = new Float32Array((logits - 1) * queries);
  for (let q = 0; q < queries; q++) {
    const of = data.subarray(q * logits, (q + 1) * logits), most = Math.max(...of);
    const sum = of.reduce((total, logit) => total + Math.exp(logit - most), 0);
    for (let c = 0; c < logits - 1; c++) probabilities[c * queries + q] = Math.exp(of[c] - most) / sum;
  }
  return probabilities;
}

/** Masks of queries along a row, Q x width -> scores, classes x width: sums of class times mask probability. */
function combine(probabilities, masks, width) {
  const queries = masks.length / width, classes = probabilities.length / queries;
  const scores = new Float32Array(classes * width), shares = masks.map((logit) => 1 / (1 + Math.exp(-logit)));
  for (let c = 0; c < classes; c++) {
    for (let q = 0; q < queries; q++) {
      const p = probabilities[c * queries + q];
      for (let x = 0; x < width; x++) scores[c * width + x] += p * shares[q * width + x];
    }
  }
  return scores;
}

/** What the network says -> the class of the highest score at each pixel, a row at a time. */
export function toLabels(outputs, { threshold }, width, height) {
  const limit = threshold === null ? null : Math.log(threshold / (1 - threshold)); // of one score for two classes
  const maps = outputs[outputs.length - 1], probabilities = outputs.length === 2 && classProbabilities(outputs[0]);
  const labels = new Uint16Array(width * height), rows = places(maps.dims[2], height), columns = places(maps.dims[3], width);
  for (let y = 0; y < height; y++) {
    let scores = pixelRow(maps, rows[y], columns);
    if (probabilities) scores = combine(probabilities, scores, width);
    for (let x = 0; x < width; x++) {
      let best = limit !== null && scores[x] > limit ? 1 : 0;
      for (let i = x + width; i < scores.length; i += width) {
        if (scores[i] > scores[best * width + x]) best = (i - x) / width;
      }
      labels[y * width + x] = best;
    }
  }
  return labels;
}

/** ImageData -> class indices, row by row. */
export async function segment(session, facts, image) {
  const outputs = await session.run({ [session.inputNames[0]]: toInput(image, facts) });
  const values = session.outputNames.map((name) => outputs[name]);
  if (facts.output === 'labels' || facts.output === 'top1') return values[0].data;
  return toLabels(values, facts, image.width, image.height);
}
