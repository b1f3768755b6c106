#!/bin/sh
# Trains 200 steps of the main job (or of what the arguments say) with each way to store
# the base and to make products, and prints how far each curve of the loss is from that
# of float32. Needs gotune in the path; writes the runs to a new folder.
#
#   docs/_precision/curves.sh FOLDER [flags of gotune train]
set -e
folder=$1
shift
for way in fp32-fp32 fp32-bf16 bf16-fp32 int8-fp32 nf4-fp32 nf4-bf16; do
	gotune train --base-precision "${way%-*}" --precision "${way#*-}" --max-steps 200 --eval=false --save-steps 0 \
		--output "$folder/$way" "$@"
done
cd "$(dirname "$0")/../.." && go run ./docs/_precision "$folder"
