# Needs Rust, Python 3.11 and, to optimise the module, Node. Everything made goes to target/.

PYTHON ?= python3
BENCH_OUT ?= target/bench/results
# The module's budget, brotli-compressed: 110 KiB.
MODULE_BROTLI_BYTES := 112640
ONNX_BROTLI_BYTES := 2200000
BINARYEN := 132.0.0
ORT_WEB := 1.30.0
WASM_PACK := 0.15.1
# Of the same version as the crate, or wasm-pack refuses it.
WASM_BINDGEN := 0.2.130
RUFF := 0.17.6
XGBOOST_NEWEST := 3.4.1
NEWER_PYTHON ?= python3.13

VENV := target/venv/bin/python
XGBOOST_VENV := target/venv-xgboost/bin/python
BENCH_VENV := target/bench-venv/bin/python
PIP := -m pip install --quiet --no-input --disable-pip-version-check
NPM := npm install --no-save --no-audit --no-fund --loglevel=error
BENCH_PEERS := xgboost lleaves tl2cgen
BENCH := --ours target/release/bench-row --out $(BENCH_OUT) --cpu 0
BENCH_RUN := env -u RUST_BACKTRACE $(BENCH_VENV)

# The paths below name target/, whatever the caller's cargo is set to.
export CARGO_TARGET_DIR := $(CURDIR)/target
# A wasm-opt of the caller's wins; without npm the module is built without one.
ifndef TOLLGATE_WASM_OPT
ifneq ($(shell command -v npm 2>/dev/null),)
WASM_OPT := target/npm/binaryen-$(BINARYEN)
export TOLLGATE_WASM_OPT := $(abspath target/npm/node_modules/.bin/wasm-opt)
endif
endif
ifneq ($(shell command -v npm 2>/dev/null),)
ORT_WEB_DONE := target/bench-npm/onnxruntime-web-$(ORT_WEB)
NPM_TEST := npm-test
endif

# Without the crates of the ONNX module, which have no tests of their own: with them cargo
# would choose other features for shared dependencies, and compile wasmtime a second time.
TESTED := --workspace $(addprefix --exclude tollgate-,wasm js onnx module-onnx)

.PHONY: demo serve clients otlp test bench bench-quick bench-shapes bench-serving bench-nets bench-row bench-tract build lint vectors npm npm-test terminal fuel components grid xgboost-grid xgboost-newest xgboost-fixtures onnx-grid onnx onnx-module large venv wasm-opt clean
.NOTPARALLEL:

demo: build
	bash tests/demo.sh

# A sidecar with the signup bundle, in the foreground, on 127.0.0.1:8080.
serve: build target/serve/signup.tollgate
	target/release/tollgate serve --bundle target/serve/signup.tollgate --trust target/serve/signup.pub \
	  --state-dir target/serve/state --log-dir target/serve/log

target/serve/signup.tollgate: target/release/tollgate models/signup/bundle.toml models/signup/model.txt
	@mkdir -p target/serve
	@test -f target/serve/signup.key || target/release/tollgate keys new -o target/serve/signup
	target/release/tollgate bundle build models/signup --key target/serve/signup.key -o $@

# Triton's clients, plain gRPC and our clients against a sidecar; the deploy files.
clients: build venv target/serve/signup.tollgate
	$(VENV) tests/python/sidecar_clients.py target/release/tollgate target/serve/signup.tollgate \
	  target/serve/signup.pub models/signup/rows.ndjson
	$(VENV) tests/python/deploy.py target/release/tollgate

# The sidecar with its OTLP export, against a collector. Leaves a build without it.
otlp: build venv target/serve/signup.tollgate
	cargo build --release -p tollgate-host --features otlp
	$(VENV) tests/python/otlp_collector.py target/release/tollgate target/serve/signup.tollgate \
	  target/serve/signup.pub models/signup/rows.ndjson
	cargo build --release -p tollgate-host

test: lint venv grid xgboost-grid onnx-grid target/net/done onnx target/large/done wasm-opt
	$(VENV) -m ruff check tests
	$(VENV) -m ruff check --config tests/python/ruff.toml models host/clients
	$(VENV) -m ruff format --check --config tests/python/ruff.toml --exclude '*.md' models tests host/clients
	TOLLGATE_HOSTILE_OUT=$(abspath target/hostile.bin) cargo test --release $(TESTED) -- --show-output
	$(MAKE) vectors terminal clients
ifdef NPM_TEST
	$(MAKE) $(NPM_TEST)
else
	@echo "skipped: the npm package in its runtimes (npm is not there)"
endif

lint: components wasm-opt
	cargo fmt --all --check
	cargo clippy --release --workspace --exclude tollgate-wasm --exclude tollgate-js --all-targets -- -D warnings
	cargo clippy --profile module --package tollgate-wasm --package tollgate-js \
	  --target wasm32-unknown-unknown -- -D warnings

# The recorded decisions once more, through the module alone and from Python; its
# instructions a call, which may grow by 5 %; its size.
vectors: build venv
	target/release/tollgate module -o target/tollgate.wasm
	$(VENV) tests/python/run_vectors.py target/tollgate.wasm tests/vectors
ifdef TOLLGATE_WASM_OPT
	$(VENV) tests/python/fuel.py target/tollgate.wasm tests/vectors tests/fixtures/fuel.json
	node tests/bench/size.mjs target/tollgate.wasm $(MODULE_BROTLI_BYTES)
endif

# What people see: the tables and the progress bar of `tollgate score`.
terminal: build venv
	$(VENV) tests/python/terminal.py target/release/tollgate tests/fixtures/terminal

# Stores the instructions a call anew, after a change that is meant to change them.
fuel: build venv
	target/release/tollgate module -o target/tollgate.wasm
	$(VENV) tests/python/fuel.py target/tollgate.wasm tests/vectors tests/fixtures/fuel.json --write

# The npm package, packed: target/npm-package/tollgate.tgz.
npm: wasm-opt onnx-module target/wasm-tools/done target/npm-tests/tools/done
	ln -sfn ../target/npm-tests/tools/node_modules js/node_modules
	PATH="$(abspath target/wasm-tools/bin):$$PATH" node js/build.mjs
	mkdir -p target/npm-package
	cd js && npm pack --silent --pack-destination ../target/npm-package
	mv target/npm-package/tollgate-*.tgz target/npm-package/tollgate.tgz

# One set of vectors, every JavaScript runtime; then bundlers, examples and budgets.
npm-test: npm venv build target/net/done target/hostile.bin
	cargo build --release -p tollgate-tests --bins
	target/release/tollgate module -o target/tollgate.wasm
	target/release/make-vectors --edges target/npm-tests/edges
	target/release/make-vectors --graph target/net/graph target/npm-tests/graphs/net
	node tests/runtimes/run.mjs
	node tests/runtimes/bundlers.mjs
	node tests/runtimes/examples.mjs
	node tests/runtimes/budgets.mjs

# `make test` has written it already.
target/hostile.bin:
	TOLLGATE_HOSTILE_OUT=$(abspath $@) cargo test --release -p tollgate-tests --test hostile

# Compiled without optimisation: that takes a third of the time, and they run for seconds.
target/wasm-tools/done: Makefile
	cargo install --quiet --debug --root target/wasm-tools --target-dir target/wasm-tools/build wasm-pack@$(WASM_PACK)
	cargo install --quiet --debug --root target/wasm-tools --target-dir target/wasm-tools/build \
	  --no-default-features wasm-bindgen-cli@$(WASM_BINDGEN)
	rm -rf target/wasm-tools/build
	@touch $@

target/npm-tests/tools/done: tests/runtimes/package.json
	mkdir -p $(@D)
	cp tests/runtimes/package.json $(@D)
	$(NPM) --prefix $(@D)
	@touch $@

build: wasm-opt
	cargo build --release -p tollgate-host

# The module with tract, beside the command that picks it: minutes to compile, so only tests,
# the npm package and those who have ONNX graphs make it.
onnx-module: wasm-opt
	cargo build --release -p tollgate-module-onnx
	target/release/tollgate-module-onnx target/release/tollgate-onnx.wasm

# The same with its own tests and its size checked: at most 2.2 MB as transports carry it.
onnx: onnx-module
	cargo test -p tollgate-onnx
ifdef TOLLGATE_WASM_OPT
	node tests/bench/size.mjs target/release/tollgate-onnx.wasm $(ONNX_BROTLI_BYTES)
endif

BENCH_READY := wasm-opt bench-row bench-tract target/bench-venv/done $(ORT_WEB_DONE)

# The first run compiles the model for two of the peers, which takes some minutes more.
bench: $(BENCH_READY)
	$(BENCH_RUN) tests/bench/bench.py $(BENCH) --rows 8000

# Does everything work? The figures mean nothing.
bench-quick: $(BENCH_READY)
	$(BENCH_RUN) tests/bench/bench.py $(BENCH) --quick
	$(BENCH_RUN) tests/bench/shapes.py $(BENCH) --quick

bench-shapes: $(BENCH_READY)
	$(BENCH_RUN) tests/bench/shapes.py $(BENCH)

# One row of a 64-128-64-1 net: the lean module, the ONNX module, onnxruntime-web in turn.
bench-nets: build onnx target/net/done $(ORT_WEB_DONE)
	@mkdir -p target/bench/results
	test -f target/net/net.key || target/release/tollgate keys new -o target/net/net
	for how in layers graph; do target/release/tollgate bundle build target/net/$$how \
	  --key target/net/net.key -o target/net/$$how.tollgate; done
	target/release/tollgate module -o target/tollgate.wasm
	node tests/bench/nets.mjs target/net target/tollgate.wasm target/release/tollgate-onnx.wasm \
	  target/net/net.pub target/bench-npm/node_modules/onnxruntime-web | tee target/bench/results/nets.md

# tract takes minutes to compile, so only the benchmark does.
bench-tract:
	cargo build --release --locked --manifest-path tests/bench/tract/Cargo.toml || echo "tract: not built, so not measured"

# Needs wrk and two cores. Without MLServer the run says so.
bench-serving: build target/serving-venv/done
	cargo build --release -p tollgate-tests --bin bench-load
	env -u RUST_BACKTRACE target/serving-venv/bin/python tests/bench/serving/serving.py \
	  --tollgate target/release/tollgate --load target/release/bench-load \
	  --fastapi target/serving-venv/bin/python --mlserver target/mlserver-venv/bin/python --out $(BENCH_OUT) \
	  $(BENCH_SERVING)

target/serving-venv/done: $(wildcard tests/bench/serving/requirements*.txt)
	$(PYTHON) -m venv target/serving-venv
	target/serving-venv/bin/python $(PIP) -r tests/bench/serving/requirements.txt
	$(PYTHON) -m venv target/mlserver-venv
	target/mlserver-venv/bin/python $(PIP) -r tests/bench/serving/requirements-mlserver.txt \
	  || { rm -rf target/mlserver-venv; echo "MLServer: not installed, so not measured"; }
	@touch $@

bench-row:
	cargo build --release -p tollgate-tests --bin bench-row

# A minimal Rust lacks these two.
components:
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy

wasm-opt: $(WASM_OPT)
ifndef TOLLGATE_WASM_OPT
	@echo "npm not found: tollgate.wasm is built without wasm-opt, so it is larger and slower"
endif

target/npm/binaryen-$(BINARYEN):
	$(NPM) --prefix target/npm binaryen@$(BINARYEN)
	@touch $@

venv: target/venv/done

target/venv/done: tests/python/requirements.txt Makefile
	$(PYTHON) -m venv target/venv
	$(VENV) $(PIP) -r tests/python/requirements.txt ruff==$(RUFF)
	@touch $@

# A peer that cannot be installed is left out of the run, which says so.
target/bench-venv/done: $(wildcard tests/bench/requirements*.txt)
	$(PYTHON) -m venv target/bench-venv
	$(BENCH_VENV) $(PIP) -r tests/bench/requirements.txt
	for peer in $(BENCH_PEERS); do \
	  $(BENCH_VENV) $(PIP) -c tests/bench/requirements.txt -r tests/bench/requirements-$$peer.txt \
	  || echo "$$peer: not installed, so not measured"; done
	@touch $@

target/bench-npm/onnxruntime-web-$(ORT_WEB):
	-$(NPM) --prefix target/bench-npm --ignore-scripts onnxruntime-web@$(ORT_WEB) && touch $@

grid: target/grid/done

target/grid/done: target/venv/done $(wildcard tests/python/lightgbm_*.py)
	@rm -rf target/grid
	$(VENV) tests/python/lightgbm_grid.py target/grid
	@touch $@

xgboost-grid: target/xgboost-grid/done

target/xgboost-grid/done: target/venv/done tests/python/lightgbm_data.py $(wildcard tests/python/xgboost_*.py)
	@rm -rf target/xgboost-grid
	$(VENV) tests/python/xgboost_grid.py target/xgboost-grid
	@touch $@

onnx-grid: target/onnx-grid/done

target/onnx-grid/done: target/venv/done $(wildcard tests/python/onnx_*.py models/sklearn/*.py)
	@rm -rf target/onnx-grid target/sklearn
	$(VENV) tests/python/onnx_grid.py target/onnx-grid
	@touch $@

# A 64-128-64-1 net as two bundle sources: layers, and the graph as it is.
target/net/done: target/venv/done tests/bench/make_net.py
	$(VENV) tests/bench/make_net.py target/net
	@touch $@

# XGBoost 3.3 and newer need a newer Python than 3.11, so this is no part of `make test`; the
# small models in tests/fixtures/xgboost are.
xgboost-newest: target/xgboost-newest/done

target/xgboost-newest/done: target/venv-xgboost/done $(wildcard tests/python/xgboost_*.py)
	@rm -rf target/xgboost-newest
	$(XGBOOST_VENV) -W ignore tests/python/xgboost_grid.py target/xgboost-newest
	@touch $@

xgboost-fixtures: target/venv-xgboost/done
	$(XGBOOST_VENV) -W ignore tests/python/xgboost_fixtures.py tests/fixtures/xgboost

target/venv-xgboost/done: Makefile
	$(NEWER_PYTHON) -m venv target/venv-xgboost
	$(XGBOOST_VENV) $(PIP) xgboost-cpu==$(XGBOOST_NEWEST) numpy==2.4.6 scipy==1.17.1 pandas==3.0.1
	@touch $@

# A model of 5,000 trees x 255 leaves: the size of its bundle, how long it loads, its scores.
large: target/large/done
	cargo test --release -p tollgate-tests --test large -- --nocapture

target/large/done: target/venv/done tests/python/lightgbm_large.py
	@rm -rf target/large
	$(VENV) tests/python/lightgbm_large.py target/large
	@touch $@

clean:
	cargo clean
