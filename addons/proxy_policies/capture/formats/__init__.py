"""Captures of every format, as entries: ours and HARs of other programs, cassettes of vcrpy, mitmproxy's flow files."""
