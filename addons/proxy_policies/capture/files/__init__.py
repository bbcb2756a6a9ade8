"""Files that only their owner can access, and values kept in files without a name: memory does not grow with them."""
