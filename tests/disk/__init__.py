"""A disk that is full, or read-only: what ledger, orders and the files beside them do then."""
