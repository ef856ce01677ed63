# Shell functions of quickstart and tests/run.

say() { printf '%s\n' "$*"; }
step() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# packages WHEN...: install those of deploy/packages that are missing.
packages() {
  local when want=() missing=() p sudo=
  for when; do
    mapfile -t -O "${#want[@]}" want < <(awk -v w="$when" '$1 == w {print $2}' "$TOP/deploy/packages")
  done
  for p in "${want[@]}"; do
    dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  step "installing ${#missing[@]} packages: ${missing[*]}"
  [ "$(id -u)" = 0 ] || sudo=sudo
  [ -z "$sudo" ] || command -v sudo >/dev/null || die "not root and no sudo: install by hand: ${missing[*]}"
  $sudo apt-get update -qq || die "apt-get update"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get install"
}

# build PRESET: configure and build; what went wrong is shown.
build() {
  local log
  log=$(mktemp)
  if ! (cd "$TOP" && cmake --preset "$1" && cmake --build --preset "$1") >"$log" 2>&1; then
    grep -E 'error|warning|undefined|FAILED|CMake Error' -A3 "$log" | head -60
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
