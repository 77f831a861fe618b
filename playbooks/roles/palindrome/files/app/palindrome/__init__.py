"""Says whether a text is a palindrome; remembers the answer in Redis and the question in PostgreSQL."""
