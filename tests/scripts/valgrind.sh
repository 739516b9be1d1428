#!/usr/bin/env bash
# Runs tests on a server under valgrind: `valgrind.sh DIR [TEST...]`. DIR has the server of checked_server.sh, and the extension in DIR/pg.
# `make test-valgrind` calls this script. It fails if valgrind reports an error, or if a test fails.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(realpath "$1")
prefix=$directory/valgrind
reports=$directory/reports
shift

# Without arguments: each part of the extension, with its errors. Tests that kill processes or count time are too slow here.
tests=("$@")
[[ $# -gt 0 ]] || tests=(
    append::batch append::capture append::direct_insert::both_paths_store_equal_rows
    append::adjusted::an_event_names_all_adjusted_values_and_verifies
    append::autonomous::an_event_has_the_provenance_of_its_caller
    append::autonomous::an_event_stays_when_its_transaction_does_not
    append::autonomous::what_is_not_valid_reaches_the_caller_and_is_not_stored
    append::masking::schemas_check_masked_details_and_errors_show_no_secret
    append::masking::secrets_are_masked_at_any_depth
    append::refusal::a_missing_privilege_becomes_an_event append::refusal::each_kind_of_refusal_becomes_an_event
    install::guard::a_superuser_cannot_change_events_or_partitions install::guard::an_upsert_is_refused
    log::attacks::changes_of_the_tree_are_reported
    log::redaction::a_redacted_field_is_gone_and_the_leaf_stays log::redaction::some_redactions_are_refused
    log::seal::every_committed_event_gets_one_leaf log::seal::invalid_calls_of_seal_are_refused
    log::seal::leaf_hashes_are_the_hashes_of_the_lines log::seal::roots_and_proofs_match_the_naive_tree
    query::events::an_export_returns_all_events_in_either_order
    retention::maintenance::a_drop_leaves_a_tombstone sql::scripts_print_what_is_expected)

# A copy of the private PostgreSQL, whose server is a script. Commands of initdb and pg_ctl run without valgrind.
rm -rf "$prefix" "$reports"
cp -al "$directory/pg" "$prefix"
mkdir -m 1777 "$reports"
mv "$prefix/bin/postgres" "$prefix/bin/postgres.real"
cat >"$prefix/bin/postgres" <<EOF
#!/bin/sh
case \$1 in --*|-V) exec "\$0.real" "\$@" ;; esac
exec valgrind --quiet --leak-check=no --trace-children=yes --error-markers=BEGIN,END --num-callers=30 \\
    --suppressions="$directory/valgrind.supp" --log-file="$reports/%p" "\$0.real" "\$@" -c audit.autonomous_timeout=120s
EOF
chmod 755 "$prefix/bin/postgres"

"$prefix/bin/postgres.real" --version
valgrind --version
cd "$repository"
run() { AUDIT_TEST_PREFIX=$prefix "${CARGO:-cargo}" test --quiet --package audit_it -- "$@" --skip=browser:: --skip=rest::; }
for test in "${tests[@]}"; do
    [[ $(run --list "$test") == *": test"* ]] || { echo "valgrind.sh: no test is named $test" >&2; exit 1; }
done
failed=no
run --test-threads 2 "${tests[@]}" || failed=yes

# A report is empty if there was no error.
find "$reports" -type f -size +0 -exec cat {} +
count() { find "$reports" -type f "$@" | wc -l; }
echo "valgrind ran $(count) processes of servers, and reported errors in $(count -size +0)"
[[ $failed == no && $(count) -gt 0 && $(count -size +0) -eq 0 ]]
