"""Compresses uncompressed responses in a coding that the client accepts."""
