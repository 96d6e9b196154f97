"""What EWC and L2SP share: hooks, importance, weights of a reference model."""
