#!/usr/bin/env bash
# The steps of a project around a refinement, on the folder d2-micrographs: extract particles again
# from the micrographs, rescale the map of a classification, refine from it, mask and sharpen.
#
#   examples/workflow_d2.sh DATA [FOLDER]
#
# $SIZE is the new box of the particles, cut with 360 px and rescaled: 90 (3.54 Å/px, default), or
# 256 (1.24 Å/px) and so on. $RECENTRE=no leaves the coordinates. $THREADS is the number of threads,
# $AUREFINE names the program.

set -euo pipefail

data=$(realpath "${1:?name the folder with the data}")
folder=${2:-workflow_d2_output}
size=${SIZE:-90}
threads=${THREADS:-2}
aurefine=${AUREFINE:-aurefine}
box=360
micrograph_pixel_size=0.885
centre="--recenter --recenter_x 0 --recenter_y 0 --recenter_z 0"
[ "${RECENTRE:-yes}" = yes ] || centre=
start=$SECONDS

mkdir -p "$folder"
ln -sfn "$data"/{CtfFind,Class3D,MotionCorr,Select} "$folder"
cd "$folder"
pixel_size=$(awk "BEGIN { printf \"%.6f\", $micrograph_pixel_size * $box / $size }")

echo "== 1/5  extracting particles, $box px rescaled to $size px of $pixel_size Å"
# shellcheck disable=SC2086
"$aurefine" extract \
    --i CtfFind/job003/micrographs_ctf.star \
    --reextract_data_star Select/class3d_first_exhaustive/particles.star $centre \
    --part_star Extract/job011/particles.star --part_dir Extract/job011/ \
    --extract --extract_size $box --scale "$size" \
    --norm --bg_radius $((size * 3 / 8)) --white_dust -1 --black_dust -1 --invert_contrast \
    --j "$threads"

echo "== 2/5  rescaling the map of the classification"
"$aurefine" image-handler \
    --i Class3D/first_exhaustive/run_it025_class001.mrc --angpix 3.54 \
    --rescale_angpix "$pixel_size" --new_box "$size" --o "class001_box$size.mrc"

echo "== 3/5  refining"
mkdir -p Refine3D/job012
"$aurefine" refine \
    --i Extract/job011/particles.star --ref "class001_box$size.mrc" --o Refine3D/job012/run \
    --auto_refine --split_random_halves --firstiter_cc --ini_high 50 --sym D2 \
    --ctf --norm --scale --flatten_solvent --zero_mask --low_resol_join_halves 40 \
    --particle_diameter 190 --healpix_order 2 --auto_local_healpix_order 4 \
    --offset_range 5 --offset_step 2 --oversampling 1 --pad 2 --random_seed 1 --j "$threads"

echo "== 4/5  making a mask"
mkdir -p MaskCreate/job013
"$aurefine" mask \
    --i Refine3D/job012/run_class001.mrc --o MaskCreate/job013/mask.mrc \
    --lowpass 15 --auto_threshold --extend_inimask 2 --width_soft_edge 5 --j "$threads"

echo "== 5/5  post-processing"
mkdir -p PostProcess/job014
"$aurefine" postprocess \
    --i Refine3D/job012/run_half1_class001_unfil.mrc --mask MaskCreate/job013/mask.mrc \
    --o PostProcess/job014/postprocess --auto_bfac --autob_lowres 10 --j "$threads"

echo
echo "done in $((SECONDS - start)) s; results in $PWD"
echo "  half maps      $(sed -n 's/.*Final resolution[^:]*: *\([0-9.]*\).*/\1/p' Refine3D/job012/run.out | tail -n 1) Å (gold-standard FSC 0.143)"
echo "  with the mask  $(awk '/_rlnFinalResolution/ { print $2 }' PostProcess/job014/postprocess.star) Å"
echo "  map            PostProcess/job014/postprocess.mrc, postprocess_masked.mrc"
echo "  poses          Refine3D/job012/run_data.star"
