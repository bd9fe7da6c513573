# shellcheck shell=sh
# What all stages share.
umask 077
