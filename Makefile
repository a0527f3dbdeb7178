# Two commands do it all on a fresh Debian 12: `make run` and `make test`. Meson and ninja do the work.

BUILD ?= build
PORT ?= 8080

.PHONY: all run test fuzz bench install format clean

all:
	@tools/packages build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) sendoff

run: all
	@tools/packages run
	@tools/run-example $(BUILD)/sendoff $(PORT)

test:
	@tools/packages test
	@tests/all

fuzz:
	@tools/packages test
	@fuzz/run

bench: all
	@tools/packages bench
	@bench/run

install: all
	meson install -C $(BUILD)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build build-*
