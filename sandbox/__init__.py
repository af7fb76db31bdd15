"""A ServiceTitan stand-in over HTTP on loopback, with a believable business inside.

Everything it answers follows from the catalog and the table of operations, what is registered of both, a seed, and what
was written. It must never import what it is there to test: pipelines, discovery and the store are strangers to it, and so
is whatever sends writes.
"""
