from .infinite_sampler import InfiniteSampler
from .sample_seed import SampleIndex, SeededSamples

__all__ = ['InfiniteSampler', 'SampleIndex', 'SeededSamples']
