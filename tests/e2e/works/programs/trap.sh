#!/bin/sh
# trap.sh MARK GO: notes SIGTERM and ends by it.
note() { echo "$SENDOFF_RUN $*" >>"$mark"; }
mark=$1 go=$2
trap '' PIPE # a shell tells on stderr that its sleep was terminated, and that may be closed
trap 'note TERM; exit 3' TERM
note begin $$ "$SENDOFF_JOB"
if [ "$SENDOFF_RUN" -gt 1 ]; then # the first run was cut short: this one is quick
        note end
        exit 0
fi
while [ ! -e "$go" ]; do
        sleep 0.05
done
note end
