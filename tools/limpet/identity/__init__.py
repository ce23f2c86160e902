"""Who is who: the CA, the operators, the registry of devices, and what a device has for itself."""
