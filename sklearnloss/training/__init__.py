"""The loop: criterion, net, batches, backbone, heads."""
