"""What a running proxy tells its owner: a socket in its confdir, and those who ask there."""
