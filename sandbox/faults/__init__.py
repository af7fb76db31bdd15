"""What goes wrong at ServiceTitan, on demand: on the wire, in paging, with writes, and in the records."""
