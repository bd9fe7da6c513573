# shellcheck shell=sh
# What the stages share that install software.
