"""Figure 2 (e-h): the networks for CIFAR-10."""
