# What the .cmd twins of nablagen, setup and test do besides running the program. Windows PowerShell 5.1 and newer.
#   windows.ps1 nablagen|setup: .NET, ffmpeg and a fresh build of the command.
#   windows.ps1 test [--format] [options of the xunit v3 runner]: builds and runs the tests as scripts/test does.
# Read with a dot before it (". windows.ps1"), it has its functions and does nothing.
# Not [Parameter()]: with it PowerShell would look for the runner's options, such as -class, among this script's own.
param([string]$Task)
$ErrorActionPreference = 'Stop'

$root = [IO.Path]::GetDirectoryName($PSScriptRoot)
$cli = "$root/src/NablaGen.Cli"
$state = "$cli/obj/scripts" # the logs and the stamps
$stamp = "$state/built"
$results = "$root/TestResults"
$tests = "$root/tests/NablaGen.Tests/bin/Release/net10.0/NablaGen.Tests.dll"

function Say([string]$text) { [Console]::Error.WriteLine("${Task}: $text") }

function Stop-With([string]$text) {
    Say $text
    exit 1
}

# Whether PATH has a program; Get-Command takes longer than all else that is done before a run.
function Test-Program([string]$name) {
    foreach ($folder in $env:PATH.Split([IO.Path]::PathSeparator)) {
        foreach ($extension in '.exe', '.cmd', '') {
            if ($folder -and [IO.File]::Exists([IO.Path]::Combine($folder.Trim('"'), $name + $extension))) { return $true }
        }
    }
    return $false
}

# Runs a program quietly: what it says goes to a file. Returns its exit code.
function Invoke-Quietly([string]$log, [string]$program, [string[]]$arguments) {
    # 5.1 takes a line on a program's error stream for an error of ours.
    $ErrorActionPreference = 'Continue'
    & $program @arguments *> $log
    return $LASTEXITCODE
}

function Test-Ffmpeg {
    # winget adds its folder to PATH only for consoles opened afterwards; nablagen itself looks there too.
    if ($env:LOCALAPPDATA -and -not $env:PATH.Contains('WinGet')) { $env:PATH += [IO.Path]::PathSeparator + "$env:LOCALAPPDATA\Microsoft\WinGet\Links" }
    return (Test-Program 'ffmpeg') -and (Test-Program 'ffprobe')
}

# Installs ffmpeg where it is missing; says how to get it where it is missing still.
function Install-Ffmpeg {
    if ($env:NABLAGEN_FFMPEG -or (Test-Ffmpeg)) { return }
    # After a failure (no network, say) not again at once: it takes its time.
    $failed = "$state/ffmpeg-failed"
    $lately = (Test-Path $failed) -and (Get-Item $failed).LastWriteTimeUtc -gt [DateTime]::UtcNow.AddHours(-1)
    if (-not $lately -and (Get-Command winget -ErrorAction SilentlyContinue)) {
        Say 'ffmpeg is missing, installing it ...'
        $null = Invoke-Quietly "$state/ffmpeg.log" 'winget' @('install', '--id', 'Gyan.FFmpeg', '--exact', '--silent',
            '--disable-interactivity', '--accept-package-agreements', '--accept-source-agreements')
        if (Test-Ffmpeg) { return }
        Set-Content $failed ''
    }
    Say 'ffmpeg is missing: winget install ffmpeg (or let NABLAGEN_FFMPEG name the folder that has it)'
}

# Shows the errors of a log alone, or its end where there are none, and stops.
function Stop-WithLog([string]$log, [string]$what) {
    $errors = @(Get-Content $log | Where-Object { $_ -match '(^|: )error ' } | Sort-Object -Unique)
    if (-not $errors) { $errors = @(Get-Content $log -Tail 20) }
    $errors | ForEach-Object { [Console]::Error.WriteLine($_) }
    Stop-With "$what failed ($log)"
}

# Restores a project's packages and shows how much has come.
function Restore-Packages([string]$name, [string]$project) {
    $log = "$state/$name-restore.log"
    $arguments = @('restore', "`"$project`"", '-nologo', '-nodeReuse:false')
    if ($env:NABLAGEN_TORCH) { $arguments += "-p:Torch=$env:NABLAGEN_TORCH" }
    $expected = 0
    try {
        . "$PSScriptRoot/download-size.ps1"
        $expected = Get-DownloadSize $root $env:NABLAGEN_TORCH
    }
    catch { $null = $_ } # No answer from the registry: the restore itself says why.
    $much = if ($expected -gt 0) { 'about {0:N0} MB of packages' -f ($expected / 1e6) } else { 'packages' }
    Say "downloading $much, then building (about a minute) ..."
    $before = Get-BytesReceived
    $process = Start-Process dotnet -ArgumentList $arguments -PassThru -NoNewWindow -RedirectStandardOutput $log -RedirectStandardError "$log.errors"
    $null = $process.Handle # 5.1 knows no exit code without it
    $shown = [Diagnostics.Stopwatch]::StartNew()
    while (-not $process.WaitForExit(250)) {
        $line = Format-Progress ((Get-BytesReceived) - $before) $expected
        if (-not [Console]::IsErrorRedirected) { [Console]::Error.Write("`r${Task}: $line ") }
        elseif ($shown.Elapsed.TotalSeconds -gt 30) {
            Say $line
            $shown.Restart()
        }
    }
    if (-not [Console]::IsErrorRedirected) { [Console]::Error.Write("`r" + ' ' * 60 + "`r") }
    if ($process.ExitCode -ne 0) { Stop-WithLog $log 'downloading the packages' }
}

# What this machine has received, by the adapter that received most; a little more than the packages, where others download too.
function Get-BytesReceived {
    $most = 0
    foreach ($adapter in [Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
        try { $most = [Math]::Max($most, $adapter.GetIPStatistics().BytesReceived) } catch { $null = $_ }
    }
    return $most
}

function Format-Progress([long]$received, [long]$expected) {
    if ($expected -le 0) { return '{0:N0} MB downloaded' -f ($received / 1e6) }
    return '{0:N0} of {1:N0} MB downloaded ({2:N0}%)' -f ($received / 1e6), ($expected / 1e6), [Math]::Min(100.0, 100.0 * $received / $expected)
}

# Builds a project or the solution in Release; on failure shows the errors alone.
function Build([string]$name, [string]$project) {
    $log = "$state/$name.log"
    # From the root: global.json there chooses the SDK.
    Push-Location $root
    try {
        if ((Invoke-Quietly $log 'dotnet' @('--version')) -ne 0) {
            Stop-With 'the .NET 10 SDK is missing: winget install Microsoft.DotNet.SDK.10'
        }
        if (-not (Test-Path "$cli/obj/project.assets.json") -or ((Test-Path $stamp) -and -not (Test-SameTorch))) { Restore-Packages $name $project }
        $arguments = @('build', $project, '-c', 'Release', '-v', 'quiet', '-nologo', '-clp:NoSummary', '-nodeReuse:false', '-p:UseSharedCompilation=false')
        if ($env:NABLAGEN_TORCH) { $arguments += "-p:Torch=$env:NABLAGEN_TORCH" }
        if ((Invoke-Quietly $log 'dotnet' $arguments) -ne 0) { Stop-WithLog $log 'the build' }
    }
    finally { Pop-Location }
}

# The command is fresh when nothing it is built from is newer than the stamp: files, or folders that lost one.
# Most of its time is PowerShell's own for each statement it meets first, so it has few: .NET walks the folders.
function Test-Fresh {
    if (-not [IO.File]::Exists($stamp) -or -not [IO.File]::Exists("$cli/bin/Release/net10.0/nablagen.dll")) { return $false }
    if (-not (Test-SameTorch)) { return $false }
    $all = [Collections.Generic.List[IO.FileSystemInfo]]::new()
    $all.AddRange(([IO.DirectoryInfo]"$root/src").GetFileSystemInfos())
    $all.Add([IO.DirectoryInfo]"$root/build")
    foreach ($project in $all.ToArray()) {
        foreach ($entry in $project.GetFileSystemInfos()) {
            if ('bin', 'obj' -contains $entry.Name) { continue }
            $all.Add($entry)
            if ($entry -is [IO.DirectoryInfo]) { $all.AddRange($entry.GetFileSystemInfos('*', 'AllDirectories')) }
        }
    }
    foreach ($pattern in 'src', 'Directory.*.*', 'global.json', '.editorconfig') { $all.AddRange(([IO.DirectoryInfo]$root).GetFileSystemInfos($pattern)) }
    $times = [DateTime[]]$all.LastWriteTimeUtc
    [Array]::Sort($times)
    return $times[-1] -le [IO.File]::GetLastWriteTimeUtc($stamp)
}

# Whether the last build was with the libtorch that is wanted now.
function Test-SameTorch { return [IO.File]::ReadAllText($stamp).Trim() -eq "torch=$env:NABLAGEN_TORCH" }

function Build-Cli {
    # Again, with the lock: another may have built it meanwhile.
    if (Test-Fresh) { return }
    if (Test-Path $stamp) { Say 'the sources have changed, building ...' }
    elseif (Test-Path "$cli/obj/project.assets.json") { Say 'first use, building (about a minute) ...' }
    # The stamp's time is that of the start, so that an edit during the build counts. Making these folders counts as well.
    foreach ($project in 'NablaGen', 'NablaGen.Cuda', 'NablaGen.Cli') {
        foreach ($folder in 'bin', 'obj') { $null = New-Item -ItemType Directory -Force "$root/src/$project/$folder" }
    }
    Set-Content "$state/building" "torch=$env:NABLAGEN_TORCH"
    Build 'cli' $cli
    Move-Item -Force "$state/building" $stamp
}

# Runs what follows while no other of these scripts does so in this checkout: a name is made of its path; an owner that died leaves it to us.
function Invoke-Locked([scriptblock]$action) {
    $hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::UTF8.GetBytes($root.ToLowerInvariant())), 0, 8)
    $mutex = New-Object Threading.Mutex $false, "nablagen-$hash"
    try { $null = $mutex.WaitOne() } catch [Threading.AbandonedMutexException] { $null = $_ }
    try { & $action } finally { $mutex.ReleaseMutex() }
}

if ($MyInvocation.InvocationName -eq '.') { return }
if ($Task -ne 'nablagen' -and $Task -ne 'setup' -and $Task -ne 'test') {
    [Console]::Error.WriteLine("windows.ps1: there is no task '$Task': expected nablagen, setup or test")
    exit 2
}

$env:DOTNET_NOLOGO = '1'
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
if (-not (Test-Program 'dotnet')) {
    Stop-With 'the .NET 10 SDK is missing: winget install Microsoft.DotNet.SDK.10 (then open a new console)'
}
$null = [IO.Directory]::CreateDirectory($state)
if (-not $env:NABLAGEN_FFMPEG -and -not (Test-Ffmpeg)) { Invoke-Locked { Install-Ffmpeg } }
if ($Task -eq 'test') {
    . "$PSScriptRoot/windows-test.ps1"
    exit (Invoke-Tests $args)
}
if (-not (Test-Fresh)) { Invoke-Locked { Build-Cli } }
if ($Task -eq 'setup') { Say "ready: $root\scripts\nablagen.cmd --help" }
