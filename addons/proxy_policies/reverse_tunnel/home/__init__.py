"""The tunnel's end for clients: works connect to it, and it links each client to a service of one of them."""
