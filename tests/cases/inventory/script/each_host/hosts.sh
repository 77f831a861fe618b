#!/bin/sh
if [ "$1" = --host ]; then
  echo "{\"name\": \"$2\"}"
else
  echo '{"web": ["a", "b"], "db": {"hosts": ["c"], "vars": {"x": [1]}}}'
fi
