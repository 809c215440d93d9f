# Builds and runs the tests for windows.ps1: what scripts/test does, lane by lane, with the same options.

# Runs one program of tests, its report and log in TestResults; shows what it says. Returns its exit code.
function Invoke-Lane([string]$name, [string[]]$options) {
    $ErrorActionPreference = 'Continue'
    & dotnet $tests -noColor -parallel none -xml "$results/$name.xml" @options | Tee-Object -FilePath "$results/$name.log" | Out-Host
    return $LASTEXITCODE
}

# Runs one beside us, and says nothing.
function Start-Lane([string]$name, [string[]]$options) {
    $arguments = @("`"$tests`"", '-noColor', '-parallel', 'none', '-xml', "`"$results/$name.xml`"") + $options
    $process = Start-Process dotnet -ArgumentList $arguments -PassThru -NoNewWindow -RedirectStandardOutput "$results/$name.log"
    $null = $process.Handle # 5.1 knows no exit code without it
    return $process
}

# The line at the end, from the reports; a program without one ended early, unless its options only ask something, as -list does.
# Returns the exit code of the whole.
function Write-Summary([int]$status, [bool]$asks) {
    $failures = @(Get-ChildItem "$results/*.log" | Select-String -SimpleMatch '[FAIL]' -Context 0, 12)
    if ($failures) {
        Say 'failed:'
        $failures | ForEach-Object { Write-Host (@($_.Line) + $_.Context.PostContext -join "`n") }
    }
    $passed = 0; $failed = 0; $skipped = 0; $reports = 0
    foreach ($log in Get-ChildItem "$results/*.log") {
        $report = [IO.Path]::ChangeExtension($log.FullName, '.xml')
        if (Test-Path $report) {
            $assembly = ([xml](Get-Content $report -Raw -Encoding UTF8)).assemblies.assembly
            $passed += [int]$assembly.passed
            $failed += [int]$assembly.failed + [int]$assembly.errors
            $skipped += [int]$assembly.skipped
            $reports++
        }
        elseif (-not $asks -or $status -ne 0) {
            Say "the tests of TestResults/$($log.Name) ended early, with exit code $status"
            $failed++
            $reports++
        }
    }
    if ($reports -gt 0) { Write-Host "$passed passed, $failed failed, $skipped skipped" }
    if ($failed -gt 0 -and $status -eq 0) { return 1 }
    return $status
}

function Invoke-Tests([string[]]$options) {
    Invoke-Locked { Build 'tests' 'NablaGen.sln' }
    if ($options -and $options[0] -eq '--format') {
        $options = @($options | Select-Object -Skip 1)
        Push-Location $root
        & dotnet format NablaGen.sln --verify-no-changes --no-restore | Out-Host
        $code = $LASTEXITCODE
        Pop-Location
        if ($code -ne 0) { return $code }
    }
    if (Test-Path $results) { Remove-Item -Recurse -Force $results }
    $null = [IO.Directory]::CreateDirectory($results)
    # The reasons are in scripts/test.
    if (-not $env:OMP_WAIT_POLICY) { $env:OMP_WAIT_POLICY = 'passive' }
    if (-not $env:DOTNET_TieredPGO) { $env:DOTNET_TieredPGO = '0' }
    if (-not $env:DOTNET_EnableWriteXorExecute) { $env:DOTNET_EnableWriteXorExecute = '0' }
    if ($options) { return Write-Summary (Invoke-Lane 'tests' $options) $true }

    if (-not $env:OMP_NUM_THREADS) { $env:OMP_NUM_THREADS = "$([Math]::Max(1, [Math]::Floor([Environment]::ProcessorCount / 2)))" }
    $commands = Start-Lane 'commands' @('-trait', 'lane=commands')
    $status = Invoke-Lane 'process' @('-trait-', 'lane=commands', '-trait-', 'lane=alone', '-trait-', 'lane=memory')
    $commands.WaitForExit()
    Get-Content "$results/commands.log" | Out-Host
    if ($commands.ExitCode -ne 0) { $status = $commands.ExitCode }
    if (-not $env:ONEDNN_MAX_CPU_ISA) { $env:ONEDNN_MAX_CPU_ISA = 'AVX2' }
    $memory = Start-Lane 'memory' @('-trait', 'lane=memory')
    $code = Invoke-Lane 'alone' @('-trait', 'lane=alone', '-trait-', 'lane=commands')
    if ($code -ne 0) { $status = $code }
    $memory.WaitForExit()
    Get-Content "$results/memory.log" | Out-Host
    if ($memory.ExitCode -ne 0) { $status = $memory.ExitCode }
    return Write-Summary $status $false
}
