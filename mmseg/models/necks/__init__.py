from .feature2pyramid import Feature2Pyramid
from .fpn import FPN
from .multilevel_neck import MultiLevelNeck

__all__ = ['FPN', 'Feature2Pyramid', 'MultiLevelNeck']
