"""Taking over a database of the original ST-LAZI, the TypeScript service: its history, and the changes that wait in it.

The original's schema as it is assumed here. Its exact columns are not documented, so each has several spellings
(`spelling.py`), and the report says which column of which table was taken for what.

    raw.st_<entity>       one row a read of a record; the same version may stand there several times
      id                  bigserial: the order of rows; where it is the only id, ServiceTitan's
      tenant_id           bigint; may be missing (`--tenant`)
      st_id               ServiceTitan's id, number or text
      payload             jsonb, json or text: the record
      payload_hash        of a kind of the original's own; not read
      modified_on         timestamptz
      synced_at           timestamptz: when it was read
      is_deleted          boolean
    outbound.mutations    changes on their way to ServiceTitan
      id, tenant_id, entity_type, entity_id, operation, payload, status, attempts, error, initiated_by, created_at,
      updated_at
    master.<entity>       typed tables, whose names consumers know

How a row becomes a version here: its place in time is the original's date; it lands when its bytes differ from those of
the version right before it, be that one the original's or read here. Whether it has landed is told by key, moment and
hash. So all of this may be cut off anywhere and run again, once or often, and comes to the same.

    database.py     the connection, read only          record.py     one row, read and judged
    spelling.py     which column means what            timeline.py   versions of one record in time
    selecting.py    the queries                        taking.py     one table, batch by batch
    warehouse.py    what is asked of our raw tables    counting.py   ... and what became of its rows
    mutations.py    the changes                        master.py     which names consumers lose
    importing.py    all of it, in order                models.py     the models afterwards
    report.py       what is told

Nothing here writes to the original's database, and nothing is sent to ServiceTitan.
"""
