"""HAR files: read, written and indexed, ours framed by lines and those of others."""
