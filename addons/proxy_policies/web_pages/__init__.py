"""Our own web pages: served with tornado, within limits, and turned on and off by options."""
