"""The command ``lrformer``, one file a command: its options, and what it calls with them.

Commands import what they need when they run, so that help comes at once.
"""

from .main import main, program

__all__ = ['main', 'program']
