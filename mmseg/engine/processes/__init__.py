"""Several processes that are one run: how they meet, share a batch, leave together, and give the same bits."""
