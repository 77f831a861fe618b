#!/bin/sh
# WANT_JSON
name=$(sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' "$1")
echo "{\"changed\": false, \"msg\": \"greet: $name\"}"
