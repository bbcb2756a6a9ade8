"""Where the clients are: works dial in, and each client is led to a service of one of them."""
