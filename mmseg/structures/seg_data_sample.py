from mmengine.structures import BaseDataElement, PixelData


class SegDataSample(BaseDataElement):
    """What is known of one image: its annotation, its prediction and its meta information.

    Each field is a :class:`mmengine.structures.PixelData` whose ``data`` is

    - ``gt_sem_seg``: 1 x H x W, class indices, ``ignore_index`` where nothing is known
    - ``pred_sem_seg``: 1 x H x W, class indices at the image's own size
    - ``seg_logits``: classes x H x W, scores; present only when scores were asked for

    Meta information (``sample.metainfo``) holds what the transforms recorded: ``img_path``,
    ``ori_shape``, ``img_shape`` (both height, width), ``flip`` and so on.
    """

    @property
    def gt_sem_seg(self) -> PixelData:
        return self._gt_sem_seg

    @gt_sem_seg.setter
    def gt_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_gt_sem_seg', dtype=PixelData)

    @gt_sem_seg.deleter
    def gt_sem_seg(self) -> None:
        del self._gt_sem_seg

    @property
    def pred_sem_seg(self) -> PixelData:
        return self._pred_sem_seg

    @pred_sem_seg.setter
    def pred_sem_seg(self, value: PixelData) -> None:
        self.set_field(value, '_pred_sem_seg', dtype=PixelData)

    @pred_sem_seg.deleter
    def pred_sem_seg(self) -> None:
        del self._pred_sem_seg

    @property
    def seg_logits(self) -> PixelData:
        return self._seg_logits

    @seg_logits.setter
    def seg_logits(self, value: PixelData) -> None:
        self.set_field(value, '_seg_logits', dtype=PixelData)

    @seg_logits.deleter
    def seg_logits(self) -> None:
        del self._seg_logits
