using System.Diagnostics;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Cli;

/// <summary>Runs the command as a user would, in a process of its own.</summary>
/// <param name="ExitCode">The exit code.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Error">The error stream without the lines of progress.</param>
/// <param name="Progress">Those lines.</param>
internal sealed partial record NablaGenProcess(int ExitCode, string Output, string Error, string Progress)
{
    public static Process Start(IEnumerable<string> arguments, string? folder = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var dotnet = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
        // A program in a shell's background inherits that SIGINT is ignored, and .NET then ignores it too; these tests send it.
        string[] command = OperatingSystem.IsLinux() ? ["env", "--default-signal=INT", dotnet] : [dotnet];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "nablagen.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>Runs a line of shell in which <c>$N</c> is the command.</summary>
    public static NablaGenProcess Shell(string line, string folder, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var dotnet = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
        var start = new ProcessStartInfo("/bin/sh", ["-c", line])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = folder,
        };
        start.Environment["N"] = $"env --default-signal=INT,HUP {dotnet} {Path.Combine(AppContext.BaseDirectory, "nablagen.dll")}";
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        process.WaitForExit();
        return Of(process.ExitCode, output.Result, error.Result);
    }

    public static NablaGenProcess Run(IEnumerable<string> arguments, string? folder = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        using var process = Start(arguments, folder, environment);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return Of(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>A run with what it wrote to its streams.</summary>
    public static NablaGenProcess Of(int exitCode, string output, string error) => new(exitCode, output, ErrorOf(error), ProgressOf(error));

    /// <summary>An error stream's lines without those of progress.</summary>
    public static string ErrorOf(string stream) => string.Concat(Lines(stream).Where(line => !ProgressLine().IsMatch(line)));

    private static string ProgressOf(string stream) => string.Concat(Lines(stream).Where(line => ProgressLine().IsMatch(line)));

    private static IEnumerable<string> Lines(string stream) => LineOfStream().Matches(stream).Select(match => match.Value);

    [GeneratedRegex("[^\\n]*\\n|[^\\n]+$")]
    private static partial Regex LineOfStream();

    [GeneratedRegex("^(checking|encoding |loading |measuring|sampling|decoding|plan: |note: |prompt [0-9]+/|attention [0-9]+/)")]
    private static partial Regex ProgressLine();
}
