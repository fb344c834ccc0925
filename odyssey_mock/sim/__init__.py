"""The whole stack in one process, in virtual time, from one seed: real client, real backend, a network that is none."""
