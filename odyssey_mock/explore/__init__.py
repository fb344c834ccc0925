"""Random scenarios of clients and server, seed after seed, and what must hold in each of them."""
