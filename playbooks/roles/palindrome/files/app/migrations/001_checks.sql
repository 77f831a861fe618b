-- What was asked. The digest is the key because a text may be longer than an index entry.
CREATE TABLE palindrome.checks (
    digest     bytea       PRIMARY KEY,
    text       text        NOT NULL,
    palindrome boolean     NOT NULL,
    times      bigint      NOT NULL DEFAULT 1,
    checked_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX checks_checked_at ON palindrome.checks (checked_at DESC);
