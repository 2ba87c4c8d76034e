#!/bin/sh
# Bazel wants its coverage tools to exist for every test; `bazel coverage` is not offered.
exit 0
