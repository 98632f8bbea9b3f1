from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

# How a sample comes by each of its fields.
SOURCES = dict(
    gt_sem_seg='annotations come from LoadAnnotations in the pipeline, before PackSegInputs',
    pred_sem_seg='labels come from the model: inference_model(model, image), or model.test_step(batch)',
    seg_logits='scores are kept on request only: inference_model(model, image, scores=True), or in the config '
    'model.test_cfg.return_scores=True',
)


class SegDataSample(BaseDataElement):
    """What is known of one image: its annotation, its prediction and its meta information.

    Each field is a :class:`mmengine.structures.PixelData` whose ``data`` is

    - ``gt_sem_seg``: 1 x H x W, class indices, ``ignore_index`` where nothing is known
    - ``pred_sem_seg``: 1 x H x W, class indices at the image's own size
    - ``seg_logits``: classes x H x W, scores at the image's own size, present only when they were asked for: logits,
      whose softmax are probabilities; of a Mask2Former head, the sum over the queries of class probability times
      mask probability, which is 0 or more and need not add up to 1 over the classes; of a head with one score for
      two classes, 1 x H x W, the probability of class 1

    Meta information (``sample.metainfo``) holds what the transforms recorded: ``img_path``,
    ``ori_shape``, ``img_shape`` (both height, width), ``flip`` and so on.
    """

    @property
    def gt_sem_seg(self) -> PixelData:
        return self._field('gt_sem_seg')

    @gt_sem_seg.setter
    def gt_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_gt_sem_seg', dtype=PixelData)

    @gt_sem_seg.deleter
    def gt_sem_seg(self) -> None:
        del self._gt_sem_seg

    @property
    def pred_sem_seg(self) -> PixelData:
        return self._field('pred_sem_seg')

    @pred_sem_seg.setter
    def pred_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_pred_sem_seg', dtype=PixelData)

    @pred_sem_seg.deleter
    def pred_sem_seg(self) -> None:
        del self._pred_sem_seg

    @property
    def seg_logits(self) -> PixelData:
        return self._field('seg_logits')

    @seg_logits.setter
    def seg_logits(self, value: PixelData) -> None:
        self.set_field(value, '_seg_logits', dtype=PixelData)

    @seg_logits.deleter
    def seg_logits(self) -> None:
        del self._seg_logits

    def pin_memory(self) -> 'SegDataSample':
        """The same sample with its tensors in memory that a GPU reads on its own; data loaders ask for it."""
        for field in self.values():
            for name, value in field.items() if isinstance(field, PixelData) else ():
                if isinstance(value, Tensor):
                    setattr(field, name, value.pin_memory())
        return self

    def _field(self, name: str) -> PixelData:
        if f'_{name}' not in self.__dict__:
            raise AttributeError(f'this sample has no {name}: {SOURCES[name]}')
        return self.__dict__[f'_{name}']
