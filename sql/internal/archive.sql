-- Partitions that audit-sidecar could not archive.

CREATE TABLE audit_internal.archive_failure (
    partition text COLLATE "C" PRIMARY KEY,
    failed_at timestamptz NOT NULL,
    problem text NOT NULL
);
COMMENT ON TABLE audit_internal.archive_failure IS 'Partitions that could not be archived, until they are archived or dropped. audit.status() shows them.';
COMMENT ON COLUMN audit_internal.archive_failure.partition IS 'Name of the partition in schema audit_internal';
COMMENT ON COLUMN audit_internal.archive_failure.failed_at IS 'Time of the last attempt that failed';
COMMENT ON COLUMN audit_internal.archive_failure.problem IS 'Cause of that failure';
