# shellcheck shell=bash
# What the benches on a lab have in common; they source it from the project's directory. It gives them `$roll` (a release build, or what ROLL
# names), `$work` (a directory of their own), and `make_lab`; when they end, however, all that they made is gone again.

roll=${ROLL:-$PWD/target/release/roll}
[ -x "$roll" ] || { echo "there is no $roll: run cargo build --release, or name one in ROLL" >&2; exit 1; }
work=$(mktemp -d) lab=""

finish() {
  local code=$? socket
  trap - EXIT
  pkill -P $$ 2>/dev/null || true
  for socket in "$work"/cp*/*; do [ -S "$socket" ] && ssh -o ControlPath="$socket" -O exit bench 2>/dev/null; done
  [ -z "$lab" ] || [ -n "${LAB:-}" ] || timeout 180 "$roll" lab down "$lab" >/dev/null 2>"$work/down" || cat "$work/down"
  if [ -n "${KEEP:-}" ]; then echo "what was printed is in $work" >&2; else rm -rf "$work"; fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# make_lab HOSTS: its name is in `$lab`, its files are in `$files`. One that is there already is named by LAB, and is left as it is.
make_lab() {
  lab=${LAB:-}
  if [ -z "$lab" ]; then
    echo "making a lab, hosts: $1"
    timeout 900 "$roll" lab up --hosts "$1" >"$work/up" 2>"$work/up.log" || { tail -n 20 "$work/up.log" >&2; exit 1; }
    lab=$(sed -n 's/^lab \([a-z0-9]*\) is up$/\1/p' "$work/up")
  fi
  files=${XDG_STATE_HOME:-$HOME/.local/state}/roll/labs/$lab
  # shellcheck disable=SC2034
  known="-o UserKnownHostsFile=$files/known_hosts -o StrictHostKeyChecking=yes"
}

# address HOST
address() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "roll-$lab-$1"; }

# install_into DIRECTORY PACKAGE...: what a bench is compared with, from PyPI, if it is not there yet.
install_into() {
  local venv=$1
  shift
  [ ! -x "$venv/bin/ansible-playbook" ] || return 0
  echo "installing $* into ${venv#"$PWD/"}"
  python3 -m venv "$venv" && timeout 900 "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" || exit 1
}
