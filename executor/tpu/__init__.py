"""What only a TPU needs: cluster, preemption, preflight."""
