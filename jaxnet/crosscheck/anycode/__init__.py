"""Training code of any style: one update of it, against autodiff of the network that it is found to train."""
