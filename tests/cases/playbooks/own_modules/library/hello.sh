#!/bin/sh
# WANT_JSON
name=$(sed 's/.*"name": *"\([^"]*\)".*/\1/' "$1")
echo "{\"changed\": true, \"msg\": \"hello $name\"}"
