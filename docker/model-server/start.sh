#!/bin/sh
# Starts a model server on the models that LINCE_MODELS names; its arguments are the command line:
#   start.sh tensorflow_model_server --port=8500 …
#   start.sh lince model-server --port=8500 …
#
# TensorFlow Serving wants a file that lists the models; written here, the list can't differ from
# the gateway's. MODEL_BASE_PATH is the image's own variable: /models.
set -euf
models=${MODEL_BASE_PATH:-/models}
config=${TMPDIR:-/tmp}/models.config
{
    echo 'model_config_list {'
    for name in $(printf '%s' "$LINCE_MODELS" | tr ',' ' '); do
        # Without this, TensorFlow Serving would wait for the folder for ever.
        if [ ! -d "$models/$name" ]; then
            echo "model-server: LINCE_MODELS names $name, but there is no $models/$name" >&2
            exit 1
        fi
        printf '  config { name: "%s" base_path: "%s" model_platform: "tensorflow" }\n' \
            "$name" "$models/$name"
    done
    echo '}'
} >"$config"
# exec: signals reach the model server, which TensorFlow Serving's own entrypoint would keep from it.
exec "$@" --model_config_file="$config"
