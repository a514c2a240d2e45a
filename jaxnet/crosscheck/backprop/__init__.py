"""The backward pass of a network, step by step, on top of `function`."""
