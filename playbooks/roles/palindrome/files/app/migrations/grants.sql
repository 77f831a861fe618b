-- Given anew by every migration, so that a changed user name needs none of its own.
GRANT CONNECT ON DATABASE {database} TO {app}, {reader};
GRANT USAGE ON SCHEMA palindrome TO {app}, {reader};
GRANT SELECT, INSERT, UPDATE ON palindrome.checks TO {app};
GRANT SELECT ON palindrome.migrations, palindrome.deploy_holds TO {app};
GRANT SELECT ON palindrome.checks TO {reader};
