"""The blocks of code of the documentation, run as they stand.

``blocks.py`` reads them, ``exceptions.py`` lists which cannot run here and what stands for placeholders, ``world.py``
makes the files that they speak of, ``workshop.py`` is the process that runs them, ``page.py`` is one page in it, and
``small.py`` how a training of days becomes one of two iterations.
"""
