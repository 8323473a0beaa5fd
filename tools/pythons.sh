#!/bin/sh
# Prints the Pythons on the path that can run the course, newest first, one of each version.
# Each is run: one that is merely there may be a shim of pyenv, or be too old or too new for torch.
check=$(dirname "$0")/../inception_course/lessons/python_version.py
IFS=:
for folder in $PATH; do
    for python in "$folder"/python "$folder"/python3 "$folder"/python3.1[0-9]; do
        [ -x "$python" ] && found=$("$python" "$check" 2>/dev/null) && echo "$found"
    done
done | sort -s -t. -k2,2nr -u | cut -d' ' -f2-
