# The two commands that matter, and three for those who work on hushgate.
# .ci/with-tools sees to cmake, which Pingora's build needs and many machines lack.

.PHONY: demo test release ci clean

# Walks through every way of presenting a key, then serves a page; ends after the walk with ARGS=--once.
demo:
	@.ci/with-tools cargo run --release -- demo $(ARGS)

# Everything that needs nothing but this repository.
test:
	@.ci/with-tools cargo test $(ARGS)

# What is installed, target/profiled/hushgate: built twice, the second time laid out by the first under load.
release:
	@.ci/release

# What CI runs; single steps by name with ARGS="fmt clippy".
ci:
	@.ci/run $(ARGS)

clean:
	@cargo clean
