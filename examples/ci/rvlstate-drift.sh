#!/bin/sh
# Look for drift from cron (rvlstate 0.1.0). Silent while there is none; otherwise it prints what was found, which
# cron mails to MAILTO, and exits with the code of rvlstate: 2 drift, 1 an error such as a server that does not answer.
#
#   RVLSTATE_PROJECT  folder with rvlstate.yaml; by default the one that holds this script's folder
#   RVLSTATE_ENV      file with REDIS_URL=... (mode 600), by default /etc/rvlstate/env; the URL is in no command line.
#                     RVLSTATE_NOTIFY="..." there names webhooks or Slack, separated by spaces: they are told when drift
#                     comes, changes and goes, and not once an hour
#   RVLSTATE_LOCK     lock file, by default drift.lock in the project's folder .rvlstate
set -eu
umask 077

project=${RVLSTATE_PROJECT:-$(dirname "$0")/..}
settings=${RVLSTATE_ENV:-/etc/rvlstate/env}
cd "$project"
if [ ! -r "$settings" ]; then
  echo "rvlstate-drift: $settings cannot be read; it is to hold REDIS_URL=..." >&2
  exit 1
fi
set -a
# shellcheck disable=SC1090 # the file is named by whoever runs this
. "$settings"
set +a
: "${REDIS_URL:?is not set by the file with the settings}"

mkdir -p .rvlstate
lock=${RVLSTATE_LOCK:-.rvlstate/drift.lock}
exec 9> "$lock"
if ! flock -n 9; then
  echo "rvlstate-drift: the previous one is still at work" >&2
  exit 1
fi

code=0
found=$(timeout 900 rvlstate --no-color drift --notify-state .rvlstate/drift.told 2>&1 9>&-) || code=$?
if [ "$code" -ne 0 ]; then
  printf '%s\n' "$found"
fi
exit "$code"
