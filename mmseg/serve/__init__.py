"""Trained models behind HTTP: an endpoint for programs, and a page for people."""

from .batching import Batcher, Busy
from .service import Limits, Service, make_app

__all__ = ['Batcher', 'Busy', 'Limits', 'Service', 'make_app']
