#!/bin/sh
# From a folder with one sub-folder per class to a confusion matrix.
#
# sh examples/score_folder.sh FOLDER MODEL [ADDRESS]
set -eu
folder=$1 model=$2 address=${3:-http://127.0.0.1:8000}
lince score "$folder" --out results.parquet --model "$model" --gateway "$address" \
    --labels-from-folders || [ $? -eq 4 ] # 4: complete, but some pictures have an error
python "$(dirname "$0")/worst_mistakes.py" results.parquet
