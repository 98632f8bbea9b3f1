// Pictures of a page: blocks that are read when one is first wanted, and files of labels as numbers.
const NOTHING = 65535; // the label of what is not annotated
const lazily = (name) => { let held; return () => held ??= block(name); };
const thumbs = lazily('thumbs'), pictures = lazily('pictures');
const url = (kind, text) => `data:image/${kind};base64,${text}`;
const fileName = (path) => path.split(/[\\/]/).pop();
const channels = (row) => [1, 3, 5].map((i) => parseInt(row.colour.slice(i, i + 2), 16));

async function pixels(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const sheet = el('canvas');
  Object.assign(sheet, { width: picture.naturalWidth, height: picture.naturalHeight });
  const pen = sheet.getContext('2d', { willReadFrequently: true });
  pen.drawImage(picture, 0, 0);
  return pen.getImageData(0, 0, sheet.width, sheet.height);
}
// image: ImageData; annotation, prediction: class indices.
async function decoded(picture) {
  const sources = [url('jpeg', picture.image), url('png', picture.label), url('png', picture.pred)];
  const [image, label, pred] = await Promise.all(sources.map(pixels));
  const indices = ({ width, height, data: bytes }) => Uint16Array.from({ length: width * height }, (_, i) => bytes[4 * i] + 256 * bytes[4 * i + 1]);
  return { image, annotation: indices(label), prediction: indices(pred) };
}
