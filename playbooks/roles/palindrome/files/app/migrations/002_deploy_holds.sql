-- Why nobody may deploy for a while: /deploy/ready refuses as long as a row here is in force.
--   INSERT INTO palindrome.deploy_holds VALUES ('the yearly closing', now() + interval '2 hours');
CREATE TABLE palindrome.deploy_holds (
    reason text        NOT NULL,
    until  timestamptz NOT NULL
);
