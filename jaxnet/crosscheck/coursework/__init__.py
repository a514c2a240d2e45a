"""Files and notebooks with functions of the course, in a process of their own, on top of `backprop`."""
