using System.CommandLine;
using System.Text.Json;
using NablaGen.Generation;

namespace NablaGen.Cli.Commands.Bench;

/// <summary>Where a measurement goes: a table on the screen, JSON in its place (<c>--json</c>), or both (<c>--json FILE</c>).</summary>
internal sealed class BenchReport
{
    private readonly string? _file;
    private readonly bool _isJson;

    private BenchReport(string? file, bool isJson) => (_file, _isJson) = (file, isJson);

    /// <summary>What the option asks for; that a file can be written is seen before anything is measured.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="json">The option.</param>
    /// <param name="isSilent">Whether nothing is told: in a process that helps another.</param>
    public static BenchReport Open(ParseResult parsed, Option<string?> json, bool isSilent = false)
    {
        if (isSilent)
        {
            return new BenchReport(null, true);
        }

        if (parsed.GetResult(json) is null or { Implicit: true })
        {
            return new BenchReport(null, false);
        }

        if (parsed.GetValue(json) is not { } path || path == "-")
        {
            return new BenchReport(null, true);
        }

        Write(path, "", keep: false);
        return new BenchReport(path, false);
    }

    /// <summary>A line of the table; nothing where JSON takes its place.</summary>
    public void Line(string line)
    {
        if (!_isJson)
        {
            Console.WriteLine(line);
        }
    }

    /// <summary>The measurement as a whole, at the end.</summary>
    public void Complete<T>(T measured)
    {
        var json = JsonSerializer.Serialize(measured, Recipe.Json);
        if (_isJson)
        {
            Console.WriteLine(json);
        }
        else if (_file is not null)
        {
            Write(_file, json + "\n", keep: true);
        }
    }

    // Aside first, so that no half of a file has the final name.
    private static void Write(string path, string text, bool keep)
    {
        try
        {
            var aside = path + ".partial";
            File.WriteAllText(aside, text);
            if (keep)
            {
                File.Move(aside, path, overwrite: true);
            }
            else
            {
                File.Delete(aside);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: cannot be written: {error.Message}", error);
        }
    }
}
