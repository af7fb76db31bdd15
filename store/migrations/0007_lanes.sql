-- A change of a whole list waits for older changes of its records, and they for it.
ALTER TABLE outbound.mutations ADD COLUMN lane_above TEXT;

-- When a request went out that may have been done, and was left to another attempt.
ALTER TABLE outbound.mutations ADD COLUMN doubtful_at TIMESTAMPTZ;

CREATE INDEX mutations_below ON outbound.mutations (lane_above, state, mutation_id);
