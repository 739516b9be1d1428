#!/usr/bin/env bash
# Fills an audit log on an old PostgreSQL, moves it to a new one, and compares: `upgrade_cluster.sh OLD_BIN NEW_BIN`. upgrades.sh runs
# it as an ordinary user.
set -euo pipefail

old=$1
new=$2
work=$(mktemp -d /tmp/upgrade.XXXXXX)
cd "$work"
export PGHOST=$work PGUSER=postgres
running=()

stop_all() {
    local data
    for data in "${running[@]}"; do
        "$new/pg_ctl" stop -s -m immediate -D "$data" >/dev/null 2>&1 || true
    done
    rm -rf "$work"
}
trap stop_all EXIT

fail() {
    echo "upgrade_cluster.sh: $*" >&2
    tail -n 30 "$work"/*.log >&2 || true
    exit 1
}

# The name of a cluster is also its port.
make_cluster() {
    local bin=$1 port=$2 checksums=
    # Since version 18, a new cluster has checksums. pg_upgrade wants the same on both sides.
    if "$bin/initdb" --help | grep -q no-data-checksums; then checksums=--no-data-checksums; fi
    "$bin/initdb" --no-sync -A trust -U postgres --locale C.UTF-8 --encoding UTF8 $checksums -D "$work/$port" >"$work/initdb.log" 2>&1 ||
        fail "initdb of $bin failed"
    cat >>"$work/$port/postgresql.conf" <<EOF
port = $port
listen_addresses = ''
unix_socket_directories = '$work'
fsync = off
shared_preload_libraries = 'audit_log'
audit.seal_interval = 200
audit.maintenance_interval = 0
EOF
}

start() {
    "$1/pg_ctl" start -s -w -D "$work/$2" -l "$work/$2.log" || fail "the server on port $2 does not start"
    running+=("$work/$2")
}

stop() {
    "$1/pg_ctl" stop -s -w -m fast -D "$work/$2" || fail "the server on port $2 does not stop"
}

ask() {
    psql -XAtq -v ON_ERROR_STOP=1 -p "$1" -d "$2" -c "$3"
}

equal() {
    [[ $2 == "$3" ]] || fail "$1: expected $2, but found $3"
}

# What must be the same before and after: the events with all columns, the leaves, the sizes and the roots of the logs, and the
# side tables.
STATE="SELECT 'events ' || count(*) || ' ' || md5(string_agg(e::text, ',' ORDER BY id)) FROM audit.event e WHERE id <= (SELECT max FROM last_id)
UNION ALL SELECT 'root ' || l.workspace || ' ' || l.size || ' ' || encode(audit.root_at(l.workspace, l.size), 'hex') FROM sizes l
UNION ALL SELECT 'holds ' || md5(string_agg(h::text, ',' ORDER BY h::text)) FROM audit.legal_hold h
UNION ALL SELECT 'retention ' || md5(string_agg(w::text, ',' ORDER BY w::text)) FROM audit.workspace w
UNION ALL SELECT 'redactions ' || md5(string_agg(r::text, ',' ORDER BY r::text)) FROM audit.redaction r
UNION ALL SELECT 'checkpoints ' || count(*) FROM audit.checkpoint ORDER BY 1"

# Checks a database that was moved, then appends and seals there.
check() {
    local port=$1 database=$2 expected=$3 id
    equal "$database: state" "$expected" "$(ask "$port" "$database" "$STATE")"
    equal "$database: verify" "" "$(ask "$port" "$database" 'SELECT audit.verify()')"
    id=$(ask "$port" "$database" "SELECT audit.append('after_upgrade', 'acme')")
    for _ in $(seq 100); do
        [[ -z $(ask "$port" "$database" "SELECT 1 WHERE audit.leaf_of('acme', $id) IS NULL") ]] && break
        sleep 0.2
    done
    equal "$database: the new event has a leaf" t "$(ask "$port" "$database" "SELECT audit.leaf_of('acme', $id) IS NOT NULL")"
    ask "$port" "$database" 'INSERT INTO feedback VALUES (99); DELETE FROM feedback' >/dev/null
    equal "$database: captured changes" 4 "$(ask "$port" "$database" "SELECT count(*) FROM audit.event WHERE action LIKE 'feedback.%'")"
    ask "$port" "$database" 'SELECT audit.seal(); SELECT audit.record_heads()' >/dev/null
    equal "$database: verify after new events" "" "$(ask "$port" "$database" 'SELECT audit.verify()')"
    equal "$database: state after new events" "$expected" "$(ask "$port" "$database" "$STATE")"
    if ask "$port" "$database" 'DELETE FROM audit.event' >/dev/null 2>&1; then fail "$database: the guard let a DELETE pass"; fi
}

make_cluster "$old" 5001
start "$old" 5001
ask 5001 postgres 'CREATE DATABASE app'
ask 5001 app "CREATE EXTENSION audit_log;
    CREATE TABLE feedback (id int PRIMARY KEY); SELECT audit.capture('feedback', workspace => 'acme');
    SELECT count(audit.append('login_failed', w, actor => 'user:' || n % 7, target => 'ticket:' || n, details => jsonb_build_object('n', n)))
        FROM generate_series(1, 500) n, unnest('{acme,globex}'::text[]) w;
    INSERT INTO feedback VALUES (1); DELETE FROM feedback;
    SELECT audit.set_retention('acme', '90 days'); SELECT audit.place_legal_hold('globex', 'case 7', target => 'ticket:7')" >/dev/null
ask 5001 app "SELECT audit.append_autonomous('denied', 'acme')" >/dev/null
ask 5001 app "SELECT audit.seal()" >/dev/null
ask 5001 app "SELECT audit.redact((SELECT min(id) FROM audit.event WHERE workspace = 'acme'), 'actor', 'request 1')" >/dev/null
ask 5001 app "SELECT audit.seal(); SELECT audit.record_heads(); SELECT audit.record_heads()" >/dev/null
sleep 1
# The state is that of the events so far. The worker may append more: heads, for example.
ask 5001 app "CREATE TABLE last_id AS SELECT max(id) FROM audit.event; CREATE TABLE sizes AS SELECT workspace, size FROM audit.log" >/dev/null
state=$(ask 5001 app "$STATE")
equal "verify on the old server" "" "$(ask 5001 app 'SELECT audit.verify()')"
[[ $(wc -l <<<"$state") -ge 7 ]] || fail "the state has too few lines: $state"

make_cluster "$new" 5003
start "$new" 5003
ask 5003 postgres 'CREATE DATABASE app'
"$new/pg_dumpall" -p 5001 --roles-only >roles.sql
psql -Xq -p 5003 -d postgres -f roles.sql >/dev/null 2>roles.log
"$new/pg_dump" -p 5001 -Fc app >app.dump
# Some minor versions note a version in the options of each column of any table, and 18.6 refuses to restore it.
"$new/pg_restore" -f - app.dump | sed '/^ALTER TABLE ONLY .* SET (pg_attver=[0-9]*);$/d' >app.sql
psql -Xq -v ON_ERROR_STOP=1 -p 5003 -d app -f app.sql >/dev/null || fail "the restore failed"
check 5003 app "$state"
stop "$new" 5003
echo "  dump and restore: events, trees, holds, retention and redactions are the same; verify is clean"

# Moves the cluster on one port to another, which must be new.
move_cluster() {
    (cd "$work" && "$new/pg_upgrade" -b "$old" -B "$new" -d "$work/$1" -D "$work/$2" -p "$1" -P "$2" -U postgres -s "$work" >upgrade.log 2>&1)
}

stop "$old" 5001
make_cluster "$new" 5002
if ! move_cluster 5001 5002; then
    cat "$work"/5002/pg_upgrade_output.d/*/log/*.log >why.log
    make_cluster "$old" 5004
    start "$old" 5004
    ask 5004 postgres 'CREATE TABLE plain (a int)'
    stop "$old" 5004
    make_cluster "$new" 5005
    if move_cluster 5004 5005; then fail "pg_upgrade failed"; fi
    reason=$(grep -h 'error:' "$work"/5005/pg_upgrade_output.d/*/log/*.log) || fail "pg_upgrade failed and named no error"
    echo "  pg_upgrade: NOT RUN: these two minor versions cannot move a cluster with a plain table either:"
    head -n 1 <<<"$reason"
    exit 0
fi
start "$new" 5002
check 5002 app "$state"
stop "$new" 5002
echo "  pg_upgrade: events, trees, holds, retention and redactions are the same; verify is clean"
