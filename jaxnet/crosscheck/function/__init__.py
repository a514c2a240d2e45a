"""The gradient of any function. It knows nothing of networks."""
