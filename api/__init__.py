"""The HTTP API: reads of the copy, for every entity, closed to strangers.

`app.py` puts everything together and is imported by nothing here. Nothing in this package imports dlt or SQLMesh: what
they made is read from the warehouse, and nothing is written there.
"""
