"""``import mmseg.timm`` makes LRFormer a network of timm: ``timm.create_model('lrformer_small')``."""

from .lrformer import LRFormerClassifier

__all__ = ['LRFormerClassifier']
