"""A store in a folder of this machine, shared by its processes."""
