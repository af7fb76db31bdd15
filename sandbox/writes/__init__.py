"""What can be written: the operations of `outbound.operations`, taken as ServiceTitan takes them, and seen by every read."""
