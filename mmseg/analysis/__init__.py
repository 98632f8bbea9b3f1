"""What a model costs: counted (flops.py) and timed (benchmark.py)."""
