# What scripts do: arrays, functions, subshells, traps, pipes, jobs.
set -u
declare -A count
for word in $(seq 1 300 | tr '\n' ' '); do
    key=$((word % 13))
    count[$key]=$((${count[$key]:-0} + word))
done
for key in $(printf '%s\n' "${!count[@]}" | sort -n); do echo "$key ${count[$key]}"; done
list=()
for i in {1..500}; do list+=("item $i"); done
echo "${#list[@]} ${list[-1]} ${list[*]:10:3}"
text=$(printf 'line %s\n' {1..200} | while read -r line; do echo "${line/line/LINE}"; done)
echo "${#text}"
(trap 'echo leaving subshell' EXIT; exit 3); echo "subshell $?"
inner() { local depth=$1; ((depth == 0)) && return 7; inner $((depth - 1)); }
inner 50; echo "recursion $?"
jobs=()
for i in 1 2 3 4; do (for _ in {1..50}; do :; done; exit "$i") & jobs+=($!); done
codes=()
for job in "${jobs[@]}"; do wait "$job"; codes+=($?); done
echo "jobs ${codes[*]}"
cat <<HERE | tac
first $((1 + 1))
second ${list[0]}
HERE
coproc { read -r question; echo "answer to $question"; }
echo hello >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"
trap 'echo got the signal' USR1; kill -USR1 $$
bash -c 'kill -TERM $$'; echo "terminated $?"
mapfile -t numbers < <(seq 1 1000); echo "${#numbers[@]}"
[[ "heap-warden" =~ ^([a-z]+)-(.*)$ ]] && echo "${BASH_REMATCH[2]}"
echo {a..c}{1..3} | tr ' ' '\n' | sort -r | head -n 2
exec 2>&1; no_such_command_here | sed 's/.*: no/no/'
