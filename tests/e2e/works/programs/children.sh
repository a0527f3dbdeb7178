#!/bin/sh
# children.sh MARK GO: two children work, the parent waits for them. Each notes SIGTERM by itself.
note() { echo "$SENDOFF_RUN $*" >>"$mark"; }
mark=$1 go=$2
trap '' PIPE # a shell tells on stderr that its sleep was terminated, and that may be closed
if [ "$SENDOFF_RUN" -gt 1 ]; then
        note begin $$ "$SENDOFF_JOB"
        note end
        exit 0
fi
child() {
        trap 'note TERM; exit 4' TERM
        note child "$(exec sh -c 'echo $PPID')"
        while [ ! -e "$go" ]; do
                sleep 0.05
        done
}
child &
child &
trap 'note TERM; wait; exit 3' TERM
while [ "$(grep -c child "$mark" 2>/dev/null)" != 2 ]; do
        sleep 0.05
done
note begin $$ "$SENDOFF_JOB"
wait
note end
