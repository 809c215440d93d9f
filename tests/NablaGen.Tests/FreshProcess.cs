using System.Diagnostics;
using System.Globalization;

namespace NablaGen.Tests;

/// <summary>
/// Measures where nothing was before: an explicit test, in a process of its own. What a thousand tests leave behind (malloc's arenas, one a
/// thread, and oneDNN's kept scratch memory) was seen to add 60 MiB to a measurement of 100.
/// </summary>
internal static class FreshProcess
{
    private const string Arguments = "NABLAGEN_TEST_ARGUMENTS";
    private const string Result = "NABLAGEN_TEST_RESULT";

    /// <summary>Runs an explicit test of a class, which takes numbers from <see cref="Given"/> and gives one to <see cref="Give"/>.</summary>
    public static long Measure(Type type, string method, params int[] arguments)
    {
        using var folder = new TempFolder();
        var start = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            ArgumentList = { typeof(FreshProcess).Assembly.Location, "-noColor", "-explicit", "only", "-method", $"{type.FullName}.{method}" },
            Environment =
            {
                [Arguments] = string.Join(',', arguments.Select(argument => argument.ToString(CultureInfo.InvariantCulture))),
                [Result] = folder["result"],
            },
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0 && File.Exists(folder["result"]), output);
        return long.Parse(File.ReadAllText(folder["result"]), CultureInfo.InvariantCulture);
    }

    /// <summary>What the test that measures was given; skips it where it was started by hand.</summary>
    public static int[] Given()
    {
        var text = Environment.GetEnvironmentVariable(Arguments);
        Assert.SkipWhen(text is null, "started by another test only");
        return [.. text!.Split(',').Select(argument => int.Parse(argument, CultureInfo.InvariantCulture))];
    }

    /// <summary>What was measured.</summary>
    public static void Give(long value) =>
        File.WriteAllText(Environment.GetEnvironmentVariable(Result)!, value.ToString(CultureInfo.InvariantCulture));
}
