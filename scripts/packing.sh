# shellcheck shell=bash
# What release and release-check share: the names of what is released, and files that have their final name only when they are whole.
# Sourced; knows nothing of where the sources are.

# The version, from the one place that has it: release_version SOURCES.
release_version() {
  local version
  version=$(sed -n 's:.*<Version>\([0-9.]*\)</Version>.*:\1:p' "$1/Directory.Build.props")
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || return 1
  printf '%s\n' "$version"
}

release_parts=(linux-x64 linux-x64-slim win-x64 win-x64-slim tool packages docker)

# The files of a part: release_files PART VERSION.
release_files() {
  case $1 in
    linux-*) echo "nablagen-$2-$1.tar.gz" ;;
    win-*) echo "nablagen-$2-$1.zip" ;;
    tool) printf '%s\n' "NablaGen.Cli.$2.nupkg" "NablaGen.Cli."{linux,win}"-x64.$2.nupkg" ;;
    packages) printf '%s\n' "NablaGen.$2."{nupkg,snupkg} "NablaGen.Cuda.$2."{nupkg,snupkg} ;;
    docker) echo Dockerfile ;;
    *) return 1 ;;
  esac
}

# Runs a command that writes the file named by its last argument, under another name until it is done: write_whole FILE COMMAND...
write_whole() {
  local file=$1 aside=$1.partial
  shift
  rm -f -- "$aside"
  if "$@" "$aside" && [[ -f $aside ]]; then
    mv -f -- "$aside" "$file"
  else
    rm -f -- "$aside"
    return 1
  fi
}

# One time, one owner and one order for all files, so that the same files make the same archive: pack_tar PARENT FOLDER SECONDS FILE.
pack_tar() {
  tar -C "$1" --sort=name --mtime="@$3" --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' -cf - "$2" | gzip -n -6 >"$4"
}

# The .NET SDK packs it, for Debian comes without zip: pack_zip PARENT FOLDER SECONDS FILE. Names begin with the folder, as in a tar.
pack_zip() {
  find "$1/$2" -exec touch -h -d "@$3" {} +
  local alone
  alone=$(mktemp -d "$1/zip-XXXXXX")
  mv -- "$1/$2" "$alone/$2"
  dotnet msbuild -nologo -v:q -nodeReuse:false "$root/build/Zip.proj" "-p:Folder=$alone" "-p:File=$(realpath -m -- "$4")" >&2 </dev/null
  local status=$?
  mv -- "$alone/$2" "$1/$2"
  rmdir -- "$alone"
  return "$status"
}

# Sums as sha256sum -c reads them: write_sums FOLDER NAME... (those that are there).
write_sums() {
  local folder=$1 names=() name
  shift
  for name in "$@"; do
    [[ ! -f $folder/$name ]] || names+=("$name")
  done
  write_whole "$folder/SHA256SUMS" sums_of "$folder" "${names[@]}"
}

sums_of() {
  local folder=$1 file=${*: -1}
  (cd -- "$folder" && sha256sum -- "${@:2:$#-2}") >"$file"
}
