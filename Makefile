# SPDX-License-Identifier: Apache-2.0
.PHONY: run test test-fast wheel clean

run:            ## Set up everything and open the application with a sample clip (without a display: scripted tour into out/).
	@bash scripts/run.sh

test:           ## Set up everything and run ruff, mypy --strict, import contracts and pytest.
	@bash scripts/test.sh

test-fast:      ## Set up everything and test the engine alone: no window, no training, no programs of others.
	@bash scripts/test.sh --fast

wheel:          ## Build the wheel into dist/.
	@bash scripts/setup.sh && .venv/bin/python -m build --wheel --outdir dist .

clean:          ## Remove what the other targets made.
	rm -rf .venv .venv-foreign build dist out *.egg-info
