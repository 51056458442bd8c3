#!/bin/sh
# Trains and exports each model that LINCE_MODELS names and that has no version yet.
# The names are those of recipes (`lince recipes`), so that one list serves trainer and gateway.
set -eu
models=${LINCE_MODELS_DIR:-models}

# SIGTERM reaches this process alone; a fit that hears of it keeps its best finished epoch.
run() {
    lince "$@" &
    child=$!
    trap 'kill -TERM "$child"' TERM INT
    status=0
    wait "$child" || status=$?
    # A signal ends the first wait, not the child.
    if kill -0 "$child" 2>/dev/null; then
        status=0
        wait "$child" || status=$?
    fi
    trap - TERM INT
    [ "$status" -eq 0 ] || exit "$status"
}

for name in $(printf '%s' "$LINCE_MODELS" | tr ',' ' '); do
    if ls "$models/$name" 2>/dev/null | grep -qx '[0-9][0-9]*'; then
        echo "first-models: $models/$name has a version already"
        continue
    fi
    run train "$name"
    run export "$name"
done
