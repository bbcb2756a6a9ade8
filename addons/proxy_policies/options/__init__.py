"""The values of options: parsed, read from files, changed while the proxy runs, and known to be the command line's."""
