using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Build;

/// <summary>Windows' scripts: the same lanes as their twins, by their text; their functions, where there is a PowerShell.</summary>
/// <remarks>PowerShell comes as a .NET tool: <c>dotnet tool install PowerShell --tool-path DIR</c>, with DIR on PATH.</remarks>
[Trait(Lane.Name, Lane.Commands)]
public partial class WindowsScriptTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public WindowsScriptTests() => Assert.SkipUnless(File.Exists(Repository("scripts/test")), "needs the sources");

    [Fact]
    public void Both_twins_run_the_same_lanes()
    {
        var linux = Lanes(File.ReadAllText(Repository("scripts/test")));
        Assert.Equal(4, linux.Count);
        Assert.Equal(linux, Lanes(File.ReadAllText(Repository("scripts/windows-test.ps1"))));
    }

    [Fact]
    public void Both_twins_set_the_same_variables()
    {
        // MALLOC_* and GLIBC_* are glibc's.
        static string[] Variables(string text) =>
            [.. Variable().Matches(text).Select(match => match.Value).Distinct().Order(StringComparer.Ordinal)];
        Assert.Equal(Variables(File.ReadAllText(Repository("scripts/test"))), Variables(File.ReadAllText(Repository("scripts/windows-test.ps1"))));
    }

    [Fact]
    public void Test_cmd_passes_every_option_on()
    {
        var lines = File.ReadAllLines(Repository("scripts/test.cmd"));
        Assert.Contains(lines, line => line.EndsWith("windows.ps1\" test %*", StringComparison.Ordinal));
        Assert.Equal("exit /b %errorlevel%", lines[^1]);
    }

    [Fact]
    public void The_command_is_fresh_until_a_source_changes()
    {
        WriteCheckout();
        var output = Pwsh("""
            'one' > "$root/src/NablaGen/one.cs"
            $null = New-Item -ItemType Directory -Force $state, "$cli/bin/Release/net10.0"
            'x' > "$cli/bin/Release/net10.0/nablagen.dll"
            "no stamp: $(Test-Fresh)"
            Set-Content $stamp "torch=$env:NABLAGEN_TORCH"
            (Get-Item $stamp).LastWriteTimeUtc = [DateTime]::UtcNow.AddMinutes(1)
            "built: $(Test-Fresh)"
            $env:NABLAGEN_TORCH = 'none'; "another libtorch: $(Test-Fresh)"; $env:NABLAGEN_TORCH = ''
            (Get-Item "$cli/bin/Release").LastWriteTimeUtc = [DateTime]::UtcNow.AddMinutes(2); "bin does not count: $(Test-Fresh)"
            (Get-Item "$root/src/NablaGen/one.cs").LastWriteTimeUtc = [DateTime]::UtcNow.AddMinutes(2); "edited: $(Test-Fresh)"
            """);
        Assert.Equal("no stamp: False\nbuilt: True\nanother libtorch: False\nbin does not count: True\nedited: False\n", output);
    }

    [Fact]
    public void The_end_of_a_run_is_that_of_its_reports()
    {
        WriteCheckout();
        var output = Pwsh("""
            . "$PSScriptRoot/windows-test.ps1"
            $null = New-Item -ItemType Directory $results
            'list' > "$results/tests.log"
            "only asked: $(Write-Summary 0 $true)"
            "early: $(Write-Summary 0 $false)"
            '<assemblies><assembly passed="5" failed="1" errors="0" skipped="2" /></assemblies>' > "$results/tests.xml"
            "failed: $(Write-Summary 1 $true)"
            '<assemblies><assembly passed="3" failed="0" errors="0" skipped="0" /></assemblies>' > "$results/tests.xml"
            "passed: $(Write-Summary 0 $false)"
            """);
        Assert.Equal("only asked: 0\n0 passed, 1 failed, 0 skipped\nearly: 1\n5 passed, 1 failed, 2 skipped\nfailed: 1\n3 passed, 0 failed, 0 skipped\npassed: 0\n", output);
    }

    [Fact]
    public void Progress_says_how_much_of_how_much() =>
        Assert.Equal("123 of 1,000 MB downloaded (12%)\n5 MB downloaded\n", PwshHere("(Format-Progress 123456789 1000000000); (Format-Progress 5e6 0)"));

    public void Dispose() => _folder.Dispose();

    private static List<string> Lanes(string text) =>
        [.. Lanes().Matches(text).Select(match => string.Join(' ', Words().Matches(match.Value).Select(word => word.Value))).Order(StringComparer.Ordinal)];

    // A checkout with the scripts and a source.
    private void WriteCheckout()
    {
        foreach (var folder in new[] { "scripts", "src/NablaGen", "src/NablaGen.Cli", "build" })
        {
            Directory.CreateDirectory(_folder[folder]);
        }

        foreach (var script in Directory.GetFiles(Repository("scripts"), "*.ps1"))
        {
            File.Copy(script, Path.Combine(_folder["scripts"], Path.GetFileName(script)));
        }
    }

    private string PwshHere(string lines)
    {
        WriteCheckout();
        return Pwsh(lines);
    }

    private string Pwsh(string lines)
    {
        var shell = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).SelectMany(folder => new[] { "pwsh", "pwsh.exe" }.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
        Assert.SkipWhen(shell is null, "needs pwsh: dotnet tool install PowerShell --tool-path DIR, with DIR on PATH");
        File.WriteAllText(Path.Combine(_folder["scripts"], "run.ps1"), ". \"$PSScriptRoot/windows.ps1\" test\n" + lines);
        using var process = Process.Start(new ProcessStartInfo(shell!, ["-NoProfile", "-File", Path.Combine(_folder["scripts"], "run.ps1")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{output}\n{errors.Result}");
        return output.ReplaceLineEndings("\n");
    }

    private static string Repository(string path, [CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../..", path));

    // The filters of a lane, as bash ("run alone -trait lane=alone ...") and PowerShell ("'alone' @('-trait', 'lane=alone', ...)") have them.
    [GeneratedRegex(@"(?<=(run |')(commands|process|memory|alone)'? ).*-trait.*")]
    private static partial Regex Lanes();

    [GeneratedRegex(@"-trait-?|lane=\w+")]
    private static partial Regex Words();

    [GeneratedRegex(@"\b(OMP|ONEDNN|DOTNET)_\w+")]
    private static partial Regex Variable();
}
