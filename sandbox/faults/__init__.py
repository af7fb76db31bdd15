"""What goes wrong at ServiceTitan, on demand: on the wire, in paging, and in the records themselves."""
