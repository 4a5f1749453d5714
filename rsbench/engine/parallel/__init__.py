"""Several devices as one: ranks, their collectives, batch norm over all of them, sharded networks."""
