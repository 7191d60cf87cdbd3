#!/bin/sh
# What `make test` tried, at its end: proof.sh LOG. The log has a line for each
# test that counts (harness::told); their figures are added up by what they count.
set -eu
log=$1
[ -s "$log" ] || { echo "proof: no test told what it tried"; exit 0; }
echo
echo "What was tried:"
sort "$log" | sed 's/^proof: /  /'
awk '
    { sub(/^proof: .*: /, "") }
    {
        count = split($0, parts, ", ")
        for (part = 1; part <= count; part++)
            if (match(parts[part], /^[0-9]+ /))
                sum[substr(parts[part], RLENGTH + 1)] += substr(parts[part], 1, RLENGTH - 1)
    }
    function tell(what, shown) {
        if (sum[what] > 0) {
            printf "%s %d %s", told++ ? "," : "In all:", sum[what], shown
        }
    }
    END {
        tell("programs", "programs")
        tell("operations", "operations")
        tell("states", "states of the model")
        tell("blocks", "blocks handed out")
        tell("verdicts predicted", "crimes judged")
        tell("blocks left and sorted", "leaks sorted")
        tell("pointers judged", "pointers judged")
        tell("offsets judged", "offsets judged")
        tell("sizes and alignments", "sizes and alignments")
        tell("inputs", "inputs of the fuzzer")
        tell("system calls failed in turn", "system calls failed")
        tell("orders", "orders of threads")
        tell("random orders", "random ones")
        print ""
    }' "$log"
