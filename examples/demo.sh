#!/usr/bin/env bash
# Simulate particles of beta-galactosidase and refine them from a 50 Å map to convergence.
#
#   examples/demo.sh [FOLDER]
#
# $AUREFINE names the program, $THREADS the number of threads.

set -euo pipefail
export LC_ALL=C.UTF-8  # a point in numbers, wherever this runs

folder=${1:-demo_output}
aurefine=${AUREFINE:-aurefine}
threads=${THREADS:-2}
job=$folder/Refine3D/job001
start=$SECONDS

rm -rf "$folder"
mkdir -p "$job"

echo "== 1/2  simulating particles in $folder/particles"
"$aurefine" simulate --preset demo --o "$folder/particles" --j "$threads"

echo "== 2/2  refining them in $job"
"$aurefine" refine \
    --i "$folder/particles/particles.star" --ref "$folder/particles/reference.mrc" \
    --o "$job/run" --auto_refine --split_random_halves \
    --firstiter_cc --ini_high 50 --sym D2 --ctf --norm --scale \
    --particle_diameter 190 --flatten_solvent --zero_mask --low_resol_join_halves 40 \
    --healpix_order 2 --auto_local_healpix_order 4 --offset_range 5 --offset_step 2 \
    --oversampling 1 --pad 2 --random_seed 1 --j "$threads"

resolution=$(sed -n 's/.*Final resolution[^:]*: *\([0-9.]*\).*/\1/p' "$job/run.out" | tail -n 1)
if [ -z "$resolution" ]; then
    echo "error: the refinement did not converge; see $job/run.out" >&2
    exit 1
fi
echo
echo "done in $((SECONDS - start)) s"
printf '  resolution    %.2f Å (gold-standard FSC 0.143, without a mask)\n' "$resolution"
echo "  map           $job/run_class001.mrc"
echo "  half maps     $job/run_half1_class001_unfil.mrc, $job/run_half2_class001_unfil.mrc"
echo "  poses         $job/run_data.star"
echo "  story         grep Auto $job/run.out"
echo "  true map      $folder/particles/true_map.mrc"
echo "  plots"
find "$job" -name '*.png' | sort | sed 's/^/                /'
