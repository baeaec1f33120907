"""The network as it is served: inputs and signature."""
