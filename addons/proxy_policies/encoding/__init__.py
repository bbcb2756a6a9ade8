"""Compresses what the origin sent plain, in a coding the client accepts."""
