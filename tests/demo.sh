#!/usr/bin/env bash
# `make demo`: from a trained model to decisions. Prints each command, runs it, and stops
# with its exit status if it does not end as it should.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/target/release:$PATH"

heading() { printf '\n== %s\n' "$1"; }

run() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

# Runs a command that has to be refused: exit status 3.
refused() {
    local status=0
    run "$1" 2>&1 || status=$?
    printf '(exit status %s)\n' "$status"
    [ "$status" -eq 3 ]
}

rm -rf target/demo
mkdir -p target/demo

heading "A key pair: the secret half signs bundles, the public half verifies them"
run 'tollgate keys new -o target/demo/signup'

heading "One signed file from the trained model, its calibration rows and its policy"
run 'tollgate bundle build models/signup --key target/demo/signup.key -o target/demo/signup.tollgate'
run 'tollgate bundle verify target/demo/signup.tollgate --trust target/demo/signup.pub'

heading "Eight sample signups, decided in the sandbox"
run 'sed -n 17,24p models/signup/rows.ndjson | tollgate score target/demo/signup.tollgate --trust target/demo/signup.pub --table'

heading "Missing features: the first of these two would be blocked, both are challenged"
run 'sed -n 39,40p models/signup/rows.ndjson | tollgate score target/demo/signup.tollgate --trust target/demo/signup.pub --table'

heading "A log of all forty sample signups, decided again from its records: the same bytes"
run 'tollgate score target/demo/signup.tollgate --trust target/demo/signup.pub models/signup/rows.ndjson > target/demo/decisions.ndjson'
run 'tollgate replay target/demo/signup.tollgate target/demo/decisions.ndjson --trust target/demo/signup.pub'

heading "One bit of the model flipped: refused"
run "python3 -c 'b = bytearray(open(\"target/demo/signup.tollgate\", \"rb\").read()); b[len(b) // 2] ^= 1; open(\"target/demo/tampered.tollgate\", \"wb\").write(b)'"
refused 'tollgate bundle verify target/demo/tampered.tollgate --trust target/demo/signup.pub'
refused 'tollgate score target/demo/tampered.tollgate --trust target/demo/signup.pub models/signup/rows.ndjson'

heading "What to try next"
cat <<'END'

export PATH="$PWD/target/release:$PATH"                        # tollgate by its name, as above
tollgate bundle inspect target/demo/signup.tollgate --trust target/demo/signup.pub
tollgate policy derive --from models/signup/bundle.toml        # how the costs give the cut-offs
tollgate bundle build models/loan --key target/demo/signup.key -o target/demo/loan.tollgate
tollgate --help

Change a cost in models/signup/bundle.toml and run `make demo` again: the decisions move.
Your own model: README.md, "Bring your own model". All tests: make test
END
