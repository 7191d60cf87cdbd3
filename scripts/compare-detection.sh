#!/bin/bash
# Runs the crimes of c_tests under heapwarden and its peers, side by side, and
# prints how many each of them noticed, as a Markdown table.
#
#   scripts/compare-detection.sh [-l FOLDER] [PROGRAM...]
#
# FOLDER holds the libraries of allocators to compare beside (libscudo.so,
# libhardened_malloc.so, …: `make bench-peers` builds them); what is not there
# is left out. A crime counts as noticed if the tool's report says so (heapwarden,
# AddressSanitizer, Valgrind), or if the process died where it does not without
# the tool. An innocent case counts as a false alarm by the same measure.
set -u
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
library=${HEAPWARDEN_LIB_DIR:-$target/release}/libheapwarden.so
peers=$target/peers/lib
[ "${1:-}" = -l ] && { peers=$2; shift 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
programs=${*:-"error/double_free error/double_free_delayed error/double_free_aligned error/double_free_across_threads
  error/double_free_realloc error/bad_free error/bad_realloc error/size_mismatch error/overflow_at_free
  error/overflow_at_realloc error/overflow_at_exit error/overflow_aligned error/overflow_string error/overflow_far
  error/overflow_into_next error/underflow_at_free error/write_after_free error/write_after_free_recycled
  error/read_after_free error/followed_pointers error/guard_pages error/uninitialized_pointer
  cxx/new_delete_pairs cxx/sized_delete_mismatch cxx/delete_wrong_alignment cxx/double_delete"}

# "asan" is another build, "plain" the program alone.
tools=(heapwarden asan valgrind glibc plain)
for peer in "$peers"/lib*.so; do
    case $peer in *scudo* | *hardened*) tools+=("$peer") ;; esac
done

title() { case $1 in
    asan) echo AddressSanitizer ;; valgrind) echo Valgrind ;; glibc) echo 'glibc MALLOC_CHECK_=3' ;;
    plain) echo 'glibc alone' ;;
    */*) basename "$1" .so | sed s/^lib// ;; *) echo "$1" ;; esac; }

# Runs one case under a tool; prints the exit status, leaves what it said in $work/said.
run() {
    local tool=$1 binary=$2 options=$3; shift 3
    local environment=() command=(timeout 60 "$binary" "$@")
    case $tool in
        plain) ;;
        heapwarden) environment=("HEAPWARDEN_OPTIONS=symbolize=0:detect_leaks=0:$options" "LD_PRELOAD=$library") ;;
        asan) command=(timeout 60 "$binary.asan" "$@")
              environment=(ASAN_OPTIONS=detect_leaks=0:new_delete_type_mismatch=1) ;;
        valgrind) command=(timeout 60 valgrind -q --error-exitcode=97 "$binary" "$@") ;;
        glibc) environment=(MALLOC_CHECK_=3 LD_PRELOAD=libc_malloc_debug.so.0) ;;
        *) environment=("LD_PRELOAD=$tool") ;;
    esac
    (cd "$work" && env "${environment[@]}" "${command[@]}") >"$work/said" 2>&1 </dev/null
    echo $?
}

noticed() {
    local tool=$1 status=$2
    case $tool in
        heapwarden) grep -q 'ERROR: heapwarden' "$work/said" ;;
        asan) grep -q 'ERROR: AddressSanitizer' "$work/said" ;;
        valgrind) grep -Eq '^==[0-9]+== (Invalid|Mismatched|Conditional|Use of|Argument|Jump to)' "$work/said" ;;
        *) [ "$status" -gt 128 ] ;;
    esac
}

printf '| scenario | crimes |'; for tool in "${tools[@]}"; do printf ' %s |' "$(title "$tool")"; done; echo
printf '|---|--:|'; for tool in "${tools[@]}"; do printf -- '--:|'; done; echo
declare -A sum alarms
crimes_sum=0 innocent_sum=0
for program in $programs; do
    source=$(ls c_tests/"$program".c*) || continue
    flags=$(sed -n 's|^// flags: ||p' "$source")
    compiler=gcc; [ "${source##*.}" = cc ] && compiler=g++
    binary=$work/program
    $compiler -g -O1 -w $flags -Ic_tests/support "$source" -o "$binary" -lpthread -ldl 2>/dev/null || continue
    $compiler -g -O1 -w -fsanitize=address $flags -Ic_tests/support "$source" -o "$binary.asan" -lpthread -ldl || continue
    declare -A seen=()
    crimes=0
    general=$(sed -n '/^\/\/ case:/q; s|^// options: ||p' "$source" | head -1)
    while IFS='|' read -r name arguments clauses options; do
        case $arguments$clauses in *'{'* | *child* | *storm* | *no-report*) continue ;; esac
        [ "${clauses// /}" = "" ] && continue
        innocent=0; case $clauses in *silent*) innocent=1 ;; esac
        [ "$innocent" = 1 ] && innocent_sum=$((innocent_sum + 1)) || crimes=$((crimes + 1))
        words=()
        set -f; eval "words=($arguments)"; set +f # quoted as in a shell
        for tool in "${tools[@]}"; do
            status=$(run "$tool" "$binary" "${options:-$general}" "${words[@]}")
            if noticed "$tool" "$status"; then
                if [ "$innocent" = 1 ]; then alarms[$tool]=$((${alarms[$tool]:-0} + 1))
                else seen[$tool]=$((${seen[$tool]:-0} + 1)); fi
            fi
        done
    done < <(awk '
        function flush() { if (line != "") print line "|" options; line = ""; options = "" }
        /^\/\/ case: /    { flush(); line = substr($0, 10); split(line, part, "|"); if (part[3] == "") line = line "|"; next }
        /^\/\/ options: / { if (line != "") options = substr($0, 13); next }
        !/^\/\//          { exit }
        END               { flush() }' "$source")
    printf '| %s | %d |' "$program" "$crimes"
    for tool in "${tools[@]}"; do
        printf ' %d |' "${seen[$tool]:-0}"
        sum[$tool]=$((${sum[$tool]:-0} + ${seen[$tool]:-0}))
    done
    echo
    crimes_sum=$((crimes_sum + crimes))
done
printf '| **all** | **%d** |' "$crimes_sum"; for tool in "${tools[@]}"; do printf ' **%d** |' "${sum[$tool]:-0}"; done; echo
printf '| false alarms in innocent cases | %d |' "$innocent_sum"; for tool in "${tools[@]}"; do printf ' %d |' "${alarms[$tool]:-0}"; done; echo
