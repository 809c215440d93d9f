# What the .cmd twins of nablagen, setup and test do besides running the program. Windows PowerShell 5.1 and newer.
#   windows.ps1 nablagen|setup: .NET, ffmpeg and a fresh build of the command.  test: the same for the tests.
#   windows.ps1 summary: the line that ends scripts\test.
param([Parameter(Mandatory)][ValidateSet('nablagen', 'setup', 'test', 'summary')][string]$Task)
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
$cli = Join-Path $root 'src/NablaGen.Cli'
$state = Join-Path $cli 'obj/scripts' # the logs and the stamps

function Say([string]$text) { [Console]::Error.WriteLine("${Task}: $text") }

function Stop-With([string]$text) {
    Say $text
    exit 1
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
    if ($env:LOCALAPPDATA) { $env:PATH += [IO.Path]::PathSeparator + (Join-Path $env:LOCALAPPDATA 'Microsoft/WinGet/Links') }
    return [bool](Get-Command ffmpeg, ffprobe -CommandType Application -ErrorAction SilentlyContinue | Select-Object -Skip 1 -First 1)
}

# Installs ffmpeg where it is missing; says how to get it where it is missing still.
function Install-Ffmpeg {
    if ($env:NABLAGEN_FFMPEG -or (Test-Ffmpeg)) { return }
    # After a failure (no network, say) not again at once: it takes its time.
    $failed = Join-Path $state 'ffmpeg-failed'
    $lately = (Test-Path $failed) -and (Get-Item $failed).LastWriteTimeUtc -gt [DateTime]::UtcNow.AddHours(-1)
    if (-not $lately -and (Get-Command winget -ErrorAction SilentlyContinue)) {
        Say 'ffmpeg is missing, installing it ...'
        $null = Invoke-Quietly (Join-Path $state 'ffmpeg.log') 'winget' @('install', '--id', 'Gyan.FFmpeg', '--exact', '--silent',
            '--disable-interactivity', '--accept-package-agreements', '--accept-source-agreements')
        if (Test-Ffmpeg) { return }
        Set-Content $failed ''
    }
    Say 'ffmpeg is missing: winget install ffmpeg (or let NABLAGEN_FFMPEG name the folder that has it)'
}

# Builds a project or the solution in Release; on failure shows the errors alone.
function Build([string]$name, [string]$project) {
    $log = Join-Path $state "$name.log"
    # From the root: global.json there chooses the SDK.
    Push-Location $root
    try {
        if ((Invoke-Quietly $log 'dotnet' @('--version')) -ne 0) {
            Stop-With 'the .NET 10 SDK is missing: winget install Microsoft.DotNet.SDK.10'
        }
        $arguments = @('build', $project, '-c', 'Release', '-v', 'quiet', '-nologo', '-clp:NoSummary', '-nodeReuse:false', '-p:UseSharedCompilation=false')
        if ($env:NABLAGEN_TORCH) { $arguments += "-p:Torch=$env:NABLAGEN_TORCH" }
        if ((Invoke-Quietly $log 'dotnet' $arguments) -eq 0) { return }
    }
    finally { Pop-Location }
    $errors = @(Get-Content $log | Where-Object { $_ -match '(^|: )error ' } | Sort-Object -Unique)
    if (-not $errors) { $errors = @(Get-Content $log -Tail 20) }
    $errors | ForEach-Object { [Console]::Error.WriteLine($_) }
    Stop-With "the build failed ($log)"
}

# The command is fresh when nothing it is built from is newer than the stamp: files, or folders that lost one.
function Test-Fresh([string]$stamp) {
    if (-not (Test-Path $stamp) -or -not (Test-Path (Join-Path $cli 'bin/Release/net10.0/nablagen.dll'))) { return $false }
    if ((Get-Content $stamp -Raw).Trim() -ne "torch=$env:NABLAGEN_TORCH") { return $false }
    $built = (Get-Item $stamp).LastWriteTimeUtc
    $sources = @(Get-ChildItem (Join-Path $root 'src'), (Join-Path $root 'build') -Recurse) +
        @(Get-ChildItem (Join-Path $root '*') -Include 'Directory.*', 'global.json', '.editorconfig')
    return -not ($sources | Where-Object {
            $_.LastWriteTimeUtc -gt $built -and $_.FullName.Substring($root.Length) -notmatch '[\\/](bin|obj)([\\/]|$)'
        } | Select-Object -First 1)
}

function Build-Cli {
    $stamp = Join-Path $state 'built'
    if (Test-Fresh $stamp) { return }
    if (-not (Test-Path $stamp)) { Say 'first use, building (about a minute) ...' }
    # The stamp's time is that of the start, so that an edit during the build counts. Making these folders counts as well.
    foreach ($project in 'NablaGen', 'NablaGen.Cuda', 'NablaGen.Cli') {
        foreach ($folder in 'bin', 'obj') { $null = New-Item -ItemType Directory -Force (Join-Path $root "src/$project/$folder") }
    }
    $building = Join-Path $state 'building'
    Set-Content $building "torch=$env:NABLAGEN_TORCH"
    Build 'cli' $cli
    Move-Item -Force $building $stamp
}

if ($Task -eq 'summary') {
    $report = Join-Path $root 'TestResults/tests.xml'
    if (-not (Test-Path $report)) { Write-Output '0 passed, 1 failed, 0 skipped'; exit 1 }
    $assembly = ([xml](Get-Content $report -Raw -Encoding UTF8)).assemblies.assembly
    $failed = [int]$assembly.failed + [int]$assembly.errors
    Write-Output "$($assembly.passed) passed, $failed failed, $($assembly.skipped) skipped"
    exit [int]($failed -gt 0)
}

$env:DOTNET_NOLOGO = '1'
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) {
    Stop-With 'the .NET 10 SDK is missing: winget install Microsoft.DotNet.SDK.10 (then open a new console)'
}
$null = New-Item -ItemType Directory -Force $state
# One at a time in this checkout. A name is made of its path; an owner that died leaves it to us.
$hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::UTF8.GetBytes($root.ToLowerInvariant())), 0, 8)
$mutex = New-Object Threading.Mutex $false, "nablagen-$hash"
try { $null = $mutex.WaitOne() } catch [Threading.AbandonedMutexException] { }
try {
    Install-Ffmpeg
    if ($Task -eq 'test') { Build 'tests' 'NablaGen.sln' } else { Build-Cli }
}
finally { $mutex.ReleaseMutex() }
if ($Task -eq 'setup') { Say "ready: $(Join-Path $root 'scripts\nablagen.cmd') --help" }
