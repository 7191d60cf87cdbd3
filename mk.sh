cd /work/wt/core && CARGO_TARGET_DIR=/work/wt/core/target make library
