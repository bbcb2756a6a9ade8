"""Every request and every tunnel, when it has finished: what the access log, traces and counts are made of."""
