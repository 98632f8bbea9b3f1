from .deterministic import adaptive_avg_pool2d, interpolate_bilinear

__all__ = ['adaptive_avg_pool2d', 'interpolate_bilinear']
