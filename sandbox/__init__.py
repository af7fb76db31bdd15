"""A ServiceTitan stand-in over HTTP on loopback, with a believable business inside.

Everything it answers follows from the catalog, the field registry and a seed. It must never import what it is there to
test: pipelines, discovery and the store are strangers to it.
"""
