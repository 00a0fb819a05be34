#!/bin/sh
# Runs every fuzz target of the module for the time given, one after the other.
set -eu

git ls-files '*_test.go' | xargs grep -Hs '^func Fuzz' |
	sed 's|^\(.*\)/[^/]*_test.go:func \(Fuzz[A-Za-z0-9_]*\).*|./\1 \2|; s|^[^/ ]*_test.go:func \(Fuzz[A-Za-z0-9_]*\).*|. \1|' |
	while read -r package target; do
		echo "fuzz: $package $target for $1"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package" </dev/null
	done
