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

/** ImageData -> normalised colours, 1 x 3 x H x W. */
export function toInput({ data, width, height }, { mean, std }) {
  const size = width * height, input = new Float32Array(3 * size);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < size; i++) input[c * size + i] = (data[4 * i + c] - mean[c]) / std[c];
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

/** Scores, 1 x classes x h x w -> the class of the highest one at each pixel, after bilinear interpolation. */
export function toLabels({ data, dims: [, classes, h, w] }, width, height) {
  const labels = new Uint16Array(width * height), best = new Float32Array(width * height).fill(-Infinity);
  const rows = places(h, height), columns = places(w, width);
  for (let c = 0; c < classes; c++) {
    for (let y = 0, i = 0; y < height; y++) {
      const low = (c * h + rows[y].low) * w, high = (c * h + rows[y].high) * w, t = rows[y].share;
      for (let x = 0; x < width; x++, i++) {
        const { low: l, high: r, share: s } = columns[x];
        const score =
          (data[low + l] * (1 - s) + data[low + r] * s) * (1 - t) + (data[high + l] * (1 - s) + data[high + r] * s) * t;
        if (score > best[i]) { best[i] = score; labels[i] = c; }
      }
    }
  }
  return labels;
}

export async function segment(session, facts, image) {
  const outputs = await session.run({ [session.inputNames[0]]: toInput(image, facts) });
  return toLabels(outputs[session.outputNames[0]], image.width, image.height);
}
