#!/bin/sh
# Measures the release build against Debian's Postfix in the same run: README.md explains the figures.
#
#   run.sh               every figure of the README, about an hour
#   run.sh NAME...       some of them: small one reuse medium large down million silent tested auth tls
#   run.sh -- ARGUMENTS  arguments of relaybench.py as they are
#
# The Postfix is the one that Tests/peers.sh unpacked. It runs in a mount namespace where its files lie over /usr and
# its accounts over /etc; the machine itself is not changed. Needs root.
#
# STATE: the folder on the disk to measure, for both queues (/var/tmp). REPEAT: runs of each figure (3).
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
[ "$(id -u)" -eq 0 ] || { echo "run.sh: needs root: the peer changes users" >&2; exit 1; }

if [ -z "${POSTERN_BENCH:-}" ]; then
    Tests/peers.sh
    folder=$(mktemp -d "${STATE:-/var/tmp}/postern-bench.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    POSTERN_BENCH=$folder unshare --mount --fork --kill-child "$0" "$@"
    exit
fi

# In the namespace.
folder=$POSTERN_BENCH
mkdir "$folder/etc"
{ cat /etc/passwd; echo "postfix:x:65101:65101::/:/bin/false"; } >"$folder/etc/passwd"
{ cat /etc/group; echo "postfix:x:65101:"; echo "postdrop:x:65102:"; } >"$folder/etc/group"
peer=$root/.build/peers/postfix
mount -t overlay -o "lowerdir=$folder/etc:$peer/etc:/etc" bench /etc
mount -t overlay -o "lowerdir=$root/.build/peers/dns/usr:$peer/usr:/usr" bench /usr

cat >"$folder/postern.yaml" <<YAML
hostname: mx2.bench.test
listen: ["127.0.0.1:2525"]
state: $folder/state
control: $folder/control
rules: $folder
relay_domains: [bench.test]
relay_recipients: texthash:recipients
transport: texthash:transport
limits: {connections_per_client: 0, message_size: 60MB}
screener: {connections: 12000, access: ["cidr:known"]}
YAML
echo "127.0.0.1/32 permit" >"$folder/known"
echo "bench.test smtp:[127.0.0.1]:2526" >"$folder/transport"
echo "user1@bench.test OK" >"$folder/recipients"

# Each figure begins with an empty queue and a new process.
measure() {
    "$root/.build/release/postern" run --config "$folder/postern.yaml" 2>"$folder/log" &
    relay=$!
    until grep -q message=ready "$folder/log"; do
        kill -0 $relay || { cat "$folder/log" >&2; exit 1; }
        sleep 0.1
    done
    status=0
    python3 "$root/Tests/bench/${bench:-relaybench.py}" --target 127.0.0.1:2525 --pid $relay --name postern \
        --state "${STATE:-/var/tmp}" --repeat "${REPEAT:-3}" "$@" || status=$?
    kill $relay
    wait $relay || status=$?
    rm -rf "$folder/state"
    return $status
}

# What authentication costs: nothing of it, a message without signatures, one that is signed, and then sealed by us.
# The names are in a name server beside it, and after the first message in the resolver's cache.
authenticate() {
    postern="$root/.build/release/postern"
    { cat "$folder/postern.yaml"; echo "relay_networks: []"; } >"$folder/postern.none"
    {
        echo '@ 3600 IN SOA ns.bench.test. root.bench.test. 1 3600 600 86400 3600'
        echo '@ 3600 IN NS ns.bench.test.'
        echo 'ns 3600 IN A 127.0.0.1'
        echo 'client 3600 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"'
        echo '_dmarc.client 3600 IN TXT "v=DMARC1; p=reject"'
    } >"$folder/zone"
    for domain in client.bench.test bench.test; do
        "$postern" dkim genkey --domain $domain --selector s --out "$folder/$domain.pem" |
            grep -m 1 'TXT' >>"$folder/zone"
    done
    cat >"$folder/nsd.conf" <<CONF
server:
  ip-address: 127.0.0.1@5353
  username: ""
  database: ""
  pidfile: ""
  xfrdfile: "$folder/xfrd"
  zonelistfile: "$folder/zones"
  zonesdir: "$folder"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: bench.test
  zonefile: "$folder/zone"
CONF
    nsd -d -c "$folder/nsd.conf" >"$folder/nsd.log" 2>&1 &
    dns=$!
    trap 'kill $dns' EXIT
    {
        cat "$folder/postern.none"
        echo 'resolver: {forwarders: ["127.0.0.1:5353"]}'
        echo 'authentication:'
        echo '  enabled: true'
        echo "  arc: {seal: {domain: bench.test, selector: s, key: $folder/bench.test.pem}}"
    } >"$folder/postern.signed"
    grep -v '  arc:' "$folder/postern.signed" >"$folder/postern.unsigned"
    python3 - "$folder/none.eml" <<'PYTHON'
import sys
with open(sys.argv[1], "w") as file:
    file.write("From: Sender <sender@client.bench.test>\nTo: user1@bench.test\nSubject: a message\n"
               "Date: Sat, 1 Jan 2022 00:00:00 +0000\nMessage-ID: <1@client.bench.test>\n\n")
    for number in range(140):
        file.write(f"Line {number} of a body that is about ten kilobytes long, as bodies often are.\n")
PYTHON
    cp "$folder/none.eml" "$folder/unsigned.eml"
    "$postern" dkim sign --domain client.bench.test --selector s --key "$folder/client.bench.test.pem" \
        "$folder/none.eml" >"$folder/signed.eml"
}

figure() {
    printf '\n### %s\n\n' "$1"
    case $1 in
    small) measure --peer postfix --sizes 1k,10k --sessions 10,100 --messages 4000 ;;
    one) measure --peer postfix --sizes 1k --sessions 1 --messages 2000 ;;
    reuse) measure --peer postfix --sizes 1k,10k --sessions 10,100 --messages 4000 --reuse ;;
    medium) measure --peer postfix --sizes 100k --sessions 100 --messages 4000 ;;
    large) measure --peer postfix --sizes 5m --sessions 100 --messages 400 ;;
    down)
        measure --peer postfix --sizes 1k --sessions 100 --messages 20000 --down --patience 300 \
            --flush "$root/.build/release/postern queue flush --config $folder/postern.yaml"
        ;;
    million)
        python3 "$root/Tests/bench/million.py" --program "$root/.build/release/postern" \
            --config "$folder/postern.yaml" --source /usr/sbin/smtp-source --log "$folder/log"
        rm -rf "$folder/state"
        ;;
    silent)
        # An allocator keeps what it once got: each run has new processes.
        for count in 100 1000 9000; do
            for _ in $(seq "${REPEAT:-3}"); do (REPEAT=1; measure --peer postfix --hold $count); done
        done
        ;;
    tested)
        # Postscreen hands a client on once it has waited. With tests in the session, it keeps it.
        sed -i 's/^screener: .*/screener: {connections: 12000, access: ["cidr:known"], pipelining: enforce, bare_newline: enforce}/' \
            "$folder/postern.yaml"
        for _ in $(seq "${REPEAT:-3}"); do
            (
                REPEAT=1
                measure --peer postfix --hold 9000 --peer-set postscreen_pipelining_enable=yes \
                    --peer-set postscreen_bare_newline_enable=yes
            )
        done
        ;;
    auth)
        authenticate
        for kind in ${KINDS:-none unsigned signed}; do
            cp "$folder/postern.$kind" "$folder/postern.yaml"
            measure --name "postern, $kind" --sizes 10k --sessions 10 --messages 4000 --file "$folder/$kind.eml"
        done
        ;;
    tls)
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mx2.bench.test \
            -addext subjectAltName=DNS:mx2.bench.test -keyout "$folder/tls.pem" -out "$folder/chain.pem" 2>/dev/null
        cat "$folder/chain.pem" >>"$folder/tls.pem"
        echo "tls: {certificates: [$folder/tls.pem]}" >>"$folder/postern.yaml"
        bench=tls.py measure --certificate "$folder/tls.pem"
        ;;
    *) echo "run.sh: no figure is called $1" >&2; exit 2 ;;
    esac
}

if [ "${1:-}" = -- ]; then
    shift
    measure "$@"
else
    [ $# -gt 0 ] || set -- small one reuse medium large down million silent tested
    for name in "$@"; do figure "$name"; done
fi
