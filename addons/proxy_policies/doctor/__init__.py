"""Looks over what a proxy needs on this machine, and says of each thing whether it is right, and what would be."""
