# Benchmarks: BENCH="--quick", "--set loops", "--only jq,redis",
# "--allocators heapwarden,mi3", "--markdown FILE", "--instructions", "--help".
BENCH ?=
bench_runner = cargo run --quiet --package heapwarden-bench --

.PHONY: bench bench-peers bench-programs
bench:
	tests/install-programs.sh
	$(bench_runner) $(BENCH)

# Fetches and builds the other allocators (target/peers), and runs nothing.
bench-peers:
	$(bench_runner) --peers

bench-programs:
	tests/install-programs.sh
	$(bench_runner) --set programs $(BENCH)
