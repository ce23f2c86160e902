"""AWS IoT Core, where there is no broker of ours: what its registry and its policies have to be."""
