# shellcheck shell=bash
# What nablagen, setup and test share: finding .NET and ffmpeg, and building. Sourced, after `set -euo pipefail`; sets `root`.
# Needs bash, coreutils, find and flock: what Debian and Ubuntu have as they come.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cli=$root/src/NablaGen.Cli
state=$cli/obj/scripts # the lock, the logs and the stamps

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false
# No process may outlive a build: it would hold the caller's pipes, and the lock, open.
export MSBUILDDISABLENODEREUSE=1

# dotnet build takes Ctrl-C for a failure of its own.
trap 'exit 130' INT

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# Puts dotnet on PATH where Microsoft's install script left it in the home folder.
find_dotnet() {
  if ! command -v dotnet >/dev/null && [[ -x ${DOTNET_ROOT:-${HOME:-}/.dotnet}/dotnet ]]; then
    export DOTNET_ROOT=${DOTNET_ROOT:-$HOME/.dotnet}
    PATH=$PATH:$DOTNET_ROOT
  fi
  command -v dotnet >/dev/null || no_sdk
}

no_sdk() {
  die "the .NET 10 SDK is missing: get it from https://dotnet.microsoft.com/download/dotnet/10.0" \
    "(Ubuntu 24.04 and newer: sudo apt-get install dotnet-sdk-10.0)"
}

# Runs what follows while no other of these scripts does so in this checkout.
locked() {
  if ! mkdir -p "$state" 2>/dev/null || [[ ! -w $state ]]; then
    die "$state cannot be written: run it once as a user who may, or use a checkout of your own"
  fi
  (
    trap 'exit 130' INT # a subshell starts without
    flock 9
    "$@" 9>&-
  ) 9>>"$state/lock"
}

# Installs ffmpeg where it is missing and we may. Returns 1, having said how to get it, where it is still missing.
ensure_ffmpeg() {
  [[ -z ${NABLAGEN_FFMPEG:-} ]] || return 0
  has_ffmpeg && return
  # After a failure (no network, say) not again at once: it takes its time.
  if [[ -z $(find "$state/ffmpeg-failed" -mmin -60 2>/dev/null) ]] && may_install; then
    locked install_ffmpeg && return
  fi
  say "ffmpeg is missing: sudo apt-get install ffmpeg (or let NABLAGEN_FFMPEG name the folder that has it)"
  return 1
}

has_ffmpeg() { command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null; }

may_install() { command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; }

install_ffmpeg() {
  has_ffmpeg && return
  say "ffmpeg is missing, installing it ..."
  local as_root=(env DEBIAN_FRONTEND=noninteractive)
  ((EUID == 0)) || as_root=(sudo -n "${as_root[@]}")
  local apt=("${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120)
  # The lists may be old and the package there all the same.
  "${apt[@]}" update </dev/null >"$state/ffmpeg.log" 2>&1 || true
  if "${apt[@]}" install -y --no-install-recommends ffmpeg </dev/null >>"$state/ffmpeg.log" 2>&1; then
    rm -f "$state/ffmpeg-failed"
  else
    touch "$state/ffmpeg-failed"
    say "apt-get failed: $(tail -n 1 "$state/ffmpeg.log")"
    return 1
  fi
}

# build NAME PROJECT: builds a project or the solution in Release; on failure shows the errors alone.
build() {
  local log=$state/$1.log
  # dotnet and NuGet insist on a home.
  if [[ ! -w ${HOME:-/nonexistent} ]]; then
    export HOME=$root/out/home
    mkdir -p "$HOME"
  fi
  # From the root: global.json there chooses the SDK.
  cd -- "$root" || exit
  dotnet --version >"$log" 2>&1 </dev/null || no_sdk
  # A running command keeps its files when their names are taken away, not when they are written over.
  rm -f "$cli"/bin/Release/net10.0/{nablagen,NablaGen.}*.dll
  dotnet build "$2" -c Release -v quiet -nologo -clp:NoSummary -p:UseSharedCompilation=false \
    ${NABLAGEN_TORCH:+"-p:Torch=$NABLAGEN_TORCH"} >"$log" 2>&1 </dev/null && return
  # Each error comes once a project that saw it; where there is none, the log's end says why.
  { grep -E '(^|: )error ' "$log" || tail -n 20 "$log"; } | sort -u >&2
  die "the build failed ($log)"
}

# The command is fresh when nothing it is built from is newer than the stamp: files, or folders that lost one.
is_fresh() {
  [[ -f $cli/bin/Release/net10.0/nablagen.dll && -f $state/built && $(<"$state/built") == "torch=${NABLAGEN_TORCH:-}" ]] &&
    [[ -z $(find "$root"/src "$root"/build "$root"/Directory.*.* "$root"/global.json "$root"/.editorconfig \
      -type d \( -name bin -o -name obj \) -prune -o -newer "$state/built" -print -quit) ]]
}

build_cli() {
  # Again, with the lock: another may have built it meanwhile.
  is_fresh && return
  if [[ ! -f $state/built ]]; then
    say "first use, building (about a minute) ..."
  elif [[ -t 2 ]]; then
    say "the sources have changed, building ..."
  fi
  # The stamp's time is that of the start, so that an edit during the build counts. Making these folders counts as well.
  mkdir -p "$root"/src/{NablaGen,NablaGen.Cuda,NablaGen.Cli}/{bin,obj}
  printf 'torch=%s' "${NABLAGEN_TORCH:-}" >"$state/building"
  build cli "$cli"
  mv "$state/building" "$state/built"
}

ensure_cli() {
  is_fresh && return
  # A checkout that was copied without its files' times looks changed: who may not build in it still has the program that came along.
  if [[ ! -w $cli && -f $cli/bin/Release/net10.0/nablagen.dll ]]; then
    say "the sources look newer than the program, and $cli cannot be written: running the program as it is"
    return
  fi
  locked build_cli
}
