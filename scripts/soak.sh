#!/bin/sh
# The long run: soak.sh LIBRARY_FOLDER SECONDS [SEED]. Half of the time a
# program of ours that does everything at once (tests/soak/soak.c), half real
# programs; then memory growth, leak counts and report rates are checked.
set -eu
cd "$(dirname "$0")/.."
library=$1 seconds=$2 seed=${3:-$(date +%s)}
place=${CARGO_TARGET_DIR:-$PWD/target}/soak
rm -rf "$place"
mkdir -p "$place/reports"
ln -s "$library/libheapwarden.so" "$place/libheapwarden.so.1"
cc -O1 -g -pthread -Iinclude tests/soak/soak.c -o "$place/soak" \
    "$library/libheapwarden.so" -Wl,-rpath,"$place"
bad=0
complain() {
    echo "soak: $*"
    bad=1
}
half=$((seconds / 2))
echo "soak: $seconds s, seed $seed"

# 1. Everything at once. What it lost on purpose must be found, to the block.
HEAPWARDEN_OPTIONS="detect_leaks=1:exitcode=0:format=json:log_path=$place/reports/soak.%p" \
    "$place/soak" "$half" "$seed" >"$place/soak.out" 2>"$place/soak.err" ||
    complain "the program failed: $(tail -3 "$place/soak.err")"
cat "$place/soak.out"
python3 - "$place" <<'PYTHON' || bad=1
import glob, json, re, sys
place, bad = sys.argv[1], []
told = re.search(r"(\d+) live leak checks, \d+ refused, (\d+) lost", open(place + "/soak.out").read())
checks, lost = int(told[1]), int(told[2])
records = [json.loads(line) for name in glob.glob(place + "/reports/soak.*")
           for line in open(name, errors="replace") if line.startswith("{")]
errors = [record for record in records if record["type"] == "error"]
leaks = [record for record in records if record["type"] == "leak"]
summaries = [record for record in records if record["type"] == "summary"]
if errors:
    bad.append(f"{len(errors)} crimes reported that nobody did: {errors[0]}")
wrong = [leak for leak in leaks if leak.get("bytes", 0) != leak.get("blocks", 0) * 77
         and leak.get("kind") == "definite"]
if wrong:
    bad.append(f"{len(wrong)} leaks that nobody made: {json.dumps(wrong[0])[:600]}")
found = max((leak["blocks"] for leak in leaks if leak.get("kind") == "definite"), default=0)
if found != lost:
    bad.append(f"{lost} blocks were lost on purpose, {found} found")
# One record a group and check, and what ends each process: nothing floods.
if len(records) > 200 + 20 * (checks + 1):
    bad.append(f"{len(records)} records for {checks} live checks")
print(f"soak: {len(records)} records, {len(leaks)} of leaks, {found} of {lost} lost blocks found, "
      f"{len(summaries)} summaries")
for line in bad:
    print("soak:", line)
sys.exit(bool(bad))
PYTHON

# 2. Real programs, in turn: the same output as without us, no report.
cat >"$place/work.py" <<'WORK'
import json, re, collections
words = collections.Counter(re.findall(r"\w+", open(__file__).read() * 200))
print(json.dumps(sorted(words.items())[:50]), sum(len(str(i)) for i in range(200000)))
WORK
runs=0
end=$(($(date +%s) + seconds - half))
while [ "$(date +%s)" -lt "$end" ] && [ $bad = 0 ]; do
    for program in "python3 $place/work.py" \
        "sqlite3 :memory: 'create table t(a,b); with recursive n(x) as (select 1 union all select x+1 from n where x<20000) insert into t select x, hex(x) from n; select count(*), sum(length(b)) from t;'" \
        "perl -e 'my %h; \$h{\$_ % 5000} .= \"x\" x (\$_ % 40) for 1..60000; print length join \"\", sort values %h'" \
        "gcc -O1 -Iinclude -c tests/soak/soak.c -o /dev/null" "sort -R --random-source=$place/work.py tests/soak/soak.c"; do
        command -v "${program%% *}" >/dev/null || continue
        sh -c "$program" >"$place/without" 2>&1 || continue
        runs=$((runs + 1))
        LD_PRELOAD="$library/libheapwarden.so" \
            HEAPWARDEN_OPTIONS="detect_leaks=0:format=json:log_path=$place/reports/program.%p" \
            sh -c "$program" >"$place/with" 2>&1 || complain "ends otherwise: $program"
        cmp -s "$place/without" "$place/with" || complain "prints otherwise: $program"
    done
done
errors=$(cat "$place"/reports/program.* 2>/dev/null | grep -c '"type":"error"' || true)
[ "${errors:-0}" = 0 ] || complain "$errors crimes reported in sound programs"
echo "soak: $runs runs of real programs, ${errors:-0} reports"
[ $bad = 0 ] && echo "soak: all is well"
exit $bad
