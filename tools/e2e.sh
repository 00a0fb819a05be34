#!/bin/sh
# Runs the end-to-end tests (TestE2E…) with every gitlab-runner named by
# GITLAB_RUNNER (paths, separated by blanks, colons or commas) or found on PATH.
# Tries k8s:// on a real kube-apiserver with etcd where KUBE_APISERVER and ETCD, or
# PATH, name the two programs, and every secret store before its product: VAULT_BIN
# names a Vault server, BAO_BIN one of OpenBao, MOTO_SERVER, or PATH, an emulator of AWS. Arguments are flags for go test. Says plainly what was
# not there, and at the end which API client ran in which version.
set -eu

KUBE_APISERVER=${KUBE_APISERVER:-$(command -v kube-apiserver || true)}
ETCD=${ETCD:-$(command -v etcd || true)}
if [ -n "$KUBE_APISERVER" ] && [ -n "$ETCD" ]; then
	export KUBE_APISERVER ETCD
	echo "e2e: $KUBE_APISERVER: $("$KUBE_APISERVER" --version), $("$ETCD" --version | head -n 1)"
	go test -p 1 "$@" -count=1 ./internal/host/kube
	go test -p 1 "$@" -count=1 -run '^Test(DoctorLooksIntoACluster|FixARelease|Rotate)' ./internal/app
	go test -p 1 "$@" -count=1 -run '^Test(Crash|LostAnswers)InACluster' ./cmd/rekey
else
	echo 'e2e: no kube-apiserver and etcd were there: none in KUBE_APISERVER and ETCD, none on PATH. k8s:// is not tried on a real one.'
fi

MOTO_SERVER=${MOTO_SERVER:-$(command -v moto_server || true)}
export MOTO_SERVER
if [ -x "${VAULT_BIN:-}" ]; then
	echo "e2e: $VAULT_BIN: $("$VAULT_BIN" version)"
else
	echo 'e2e: no Vault was there: none in VAULT_BIN. vault:// and the secrets engine (rekey vault-plugin) are not tried on a real one.'
fi
if [ -x "${BAO_BIN:-}" ]; then
	echo "e2e: $BAO_BIN: $("$BAO_BIN" version)"
else
	echo 'e2e: no OpenBao was there: none in BAO_BIN. vault:// and the secrets engine are not tried on it.'
fi
[ -n "$MOTO_SERVER" ] || echo 'e2e: no moto_server was there: none in MOTO_SERVER, none on PATH. awssm:// is not tried.'
go test -p 1 "$@" -count=1 ./internal/secretstore/...
# Some twenty minutes of rotations through each store; fewer where the variable says so.
REKEY_STORE_ROUNDS=${REKEY_STORE_ROUNDS:-500} go test "$@" -count=1 -timeout 90m -run '^TestE2EStoreLoop$' ./cmd/rekey

runners=$(printf '%s' "${GITLAB_RUNNER:-}" | tr ':,\n' '   ')
on_path=$(command -v gitlab-runner || true)
case " $runners " in
*" $on_path "*) ;;
*) runners="$runners $on_path" ;;
esac

found=
for runner in $runners; do
	if [ -x "$runner" ]; then
		echo "e2e: $runner: $("$runner" --version | awk '/^Version:/ { print $2 }')"
		found="$found $runner"
	else
		echo "e2e: $runner is not an executable file" >&2
		exit 1
	fi
done
if [ -z "$found" ]; then
	echo 'e2e: no gitlab-runner was there: none in GITLAB_RUNNER, none on PATH. What needs it is skipped.'
fi

GITLAB_RUNNER=${found# }
export GITLAB_RUNNER
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -p 2 "$@" -count=1 -timeout 40m -v -run '^TestE2E' -skip '^TestE2EStoreLoop$' ./... >"$log" 2>&1 || status=$?
grep -Ev 'no test files|no tests to run|^testing: warning|^PASS$' "$log" || true
echo 'e2e: API clients:'
grep -E '^ *e2e_[a-z]+_test\.go:[0-9]+: (client-go|python-gitlab|glab|Current glab)' "$log" | sed 's/^[^:]*:[0-9]*: /  /' || true
if [ "$status" = 0 ] && ! grep -q '^=== RUN' "$log"; then
	echo 'e2e: there is no end-to-end test (TestE2E…) yet; nothing was run' >&2
	exit 1
fi
exit "$status"
