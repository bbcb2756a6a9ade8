"""What our command-line programs share: their arguments, their help, and the streams that they print to."""
