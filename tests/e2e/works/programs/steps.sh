#!/bin/sh
# steps.sh MARK STEP...: @FILE waits for a file, !TEXT prints, *N writes N bytes without a newline to SENDOFF_CONTROL, anything else
# is a line for it.
note() { echo "$SENDOFF_RUN $*" >>"$mark"; }
mark=$1
shift
trap 'note TERM; exit 3' TERM
note begin $$ "$SENDOFF_JOB"
for step; do
        case $step in
        @*) while [ ! -e "${step#@}" ]; do sleep 0.05; done ;;
        !*) printf %s "${step#!}" ;;
        \**) head -c "${step#?}" /dev/zero | tr '\0' x >"$SENDOFF_CONTROL" ;;
        *) printf '%s\n' "$step" >"$SENDOFF_CONTROL" ;;
        esac
done
note end
