using System.CommandLine;
using System.CommandLine.Parsing;
using NablaGen.Cli.Output;
using NablaGen.Generation;

namespace NablaGen.Cli.Commands;

/// <summary>How a run is told, whether it is one, and what it may take: of the commands that make videos.</summary>
internal sealed class ReportOptions
{
    private readonly Option<bool> _json = new("--json") { Description = "Print events as JSON lines" };
    private readonly Option<bool> _quiet = new("--quiet", "-q") { Description = "Print nothing but warnings and errors" };
    private readonly Option<bool> _dryRun = new("--dry-run", "-n") { Description = "Check everything and print plan, memory, time and files; write nothing" };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask about a job of more than a day or more memory than is free: do it" };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new[] { _json, _quiet, _dryRun, _yes })
        {
            command.Add(option);
        }

        command.Validators.Add(CheckTogether);
    }

    /// <summary>How the run is told.</summary>
    public RunReport Report(ParseResult parsed) =>
        RunReport.Of(parsed.CommandResult.Command.Name, parsed.GetValue(_json), parsed.GetValue(_quiet));

    // While the line is read: a log would be open already.
    private void CheckTogether(CommandResult line)
    {
        var (json, quiet, dryRun) = (line.GetValue(_json), line.GetValue(_quiet), line.GetValue(_dryRun));
        if (quiet && (json || dryRun))
        {
            line.AddError($"--quiet prints nothing, and {(json ? "--json" : "--dry-run")} is there to be printed: give one of them");
        }
        else if (dryRun && line.Command.Options.OfType<Option<string?>>().Any(option => option.Name == "--log" && line.GetResult(option) is not null))
        {
            line.AddError("--dry-run writes nothing, and --log a file: give one of them");
        }
    }

    /// <summary>Whether nothing is to be made.</summary>
    public bool IsDryRun(ParseResult parsed) => parsed.GetValue(_dryRun);

    /// <summary>Who is asked about a job that takes very long or too much memory.</summary>
    public JobLimit Limit(ParseResult parsed) => new(what =>
    {
        if (parsed.GetValue(_yes))
        {
            CommandRunner.Warn($"note: {what}: going on, as --yes says");
            return true;
        }

        // A dry run does nothing that anybody would have to agree to.
        return !IsDryRun(parsed) && Terminal.Ask($"{what}. Do it all the same?") == true;
    });
}
