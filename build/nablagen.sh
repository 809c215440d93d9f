#!/bin/sh
# Starts nablagen, from any folder and through links.
# The first file that is opened would get the number of a stream that is closed (">&-"), and what is printed would go there.
{ true >&1; } 2>/dev/null || exec >/dev/null
{ true >&2; } 2>/dev/null || exec 2>/dev/null
# glibc asks for memory in huge pages: clearing small ones takes a quarter of the processor time of a video on the CPU (docs/performance.md).
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
exec "$(dirname -- "$(readlink -f -- "$0")")/program/nablagen" "$@"
