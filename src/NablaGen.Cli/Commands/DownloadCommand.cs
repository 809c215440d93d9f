using System.CommandLine;
using System.IO.Enumeration;
using NablaGen.Cli.Output;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Hub;
using NablaGen.Models;
using NablaGen.Weights;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen download</c>: a model from a hub.</summary>
internal sealed class DownloadCommand
{
    public const string Example = "download wan2.1-1.3b --to Wan2.1-T2V-1.3B";

    private const int MostListed = 12;
    private const int MostConnections = 64;

    private readonly Argument<string?> _model = new("MODEL")
    {
        Description = "A short name, or a repository on the hub such as Wan-AI/Wan2.1-T2V-1.3B; without one, the short names are listed",
        HelpName = "MODEL",
        Arity = ArgumentArity.ZeroOrOne,
        CompletionSources = { ModelFamilies.All.SelectMany(family => family.Downloads).Select(model => model.Name).ToArray() },
    };

    private readonly Option<string?> _to = new("--to")
    {
        Description = "The folder to download into [default: the short name, or the repository's]",
        HelpName = "DIR",
    };

    private readonly Option<string[]> _include = new("--include")
    {
        Description = "Only files whose path in the repository is like this, such as 'HighNoise/*Q4_K_M.gguf'; may be repeated [default: what a model of its layout needs]",
        HelpName = "PATTERN",
    };

    private readonly Option<string> _revision = new("--revision")
    {
        Description = "A branch, tag or commit of the repository",
        HelpName = "REV",
        DefaultValueFactory = _ => "main",
    };

    private readonly Option<int> _connections = new("--connections")
    {
        Description = "Connections at once",
        HelpName = "N",
        DefaultValueFactory = _ => 8,
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show size, licence and files, and download nothing" };

    public static Command Create()
    {
        var self = new DownloadCommand();
        var command = new Command("download", "Download a model, only the files that are needed; what was cut off goes on, and every hash is checked.")
        {
            self._model, self._to, self._include, self._revision, self._connections, self._dryRun,
        };
        LongJob.AddTo(command);
        command.SetAction(self.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var connections = parsed.GetValue(_connections) is >= 1 and <= MostConnections and var number
            ? number
            : throw new InvalidRequestException($"--connections: expected a number from 1 to {MostConnections}");
        if (parsed.GetValue(_model) is not { } named)
        {
            List();
            return ExitCode.Done;
        }

        var model = ModelFamilies.All.SelectMany(family => family.Downloads).FirstOrDefault(one => one.Name.Equals(named, StringComparison.OrdinalIgnoreCase));
        var patterns = parsed.GetValue(_include)!;
        var sources = model?.Sources ?? (HubPath.IsRepository(named)
            ? [new DownloadSource(named, new Dictionary<string, string>())]
            : throw new InvalidRequestException($"'{named}' is no short name of a model and no repository: expected one of "
                + $"{string.Join(", ", ModelFamilies.All.SelectMany(family => family.Downloads).Select(one => one.Name))}, or OWNER/NAME"));
        if (patterns.Length > 0 && model is not null)
        {
            throw new InvalidRequestException($"--include is for a repository: {model.Name} is a list of files already ({string.Join(", ", sources.Select(source => source.Repository))})");
        }

        var folder = Path.GetFullPath(parsed.GetValue(_to) ?? model?.Name ?? named.Split('/')[1]);
        using var client = new HubClient(HubAccess.FromEnvironment(Environment.GetEnvironmentVariable), new HubPatience());
        var files = new List<HubFile>();
        foreach (var source in sources)
        {
            var repository = await HubListing.FindAsync(client, source.Repository, parsed.GetValue(_revision)!, cancellation).ConfigureAwait(false);
            files.AddRange(Chosen(repository, source, patterns));
            Summary.Line("model", Line.Of($"{repository.Name} at {repository.Commit[..Math.Min(12, repository.Commit.Length)]}, licence {repository.Licence ?? model?.Licence ?? "not stated: see its page"}"));
        }

        Summary.Line("size", $"{OutputSpace.Text(files.Sum(file => file.Size))} in {files.Count} file{(files.Count == 1 ? "" : "s")}");
        Summary.Line("to", folder);
        if (parsed.GetValue(_dryRun))
        {
            files.ForEach(file => Summary.Line("file", Line.Of($"{file.Local} ({OutputSpace.Text(file.Size)})")));
            return ExitCode.Done;
        }

        LongJob.Current?.Log?.Write("request", $"{string.Join(", ", files.Select(file => $"{file.Repository}@{file.Commit}:{file.Path}"))} to {folder}");
        await DownloadProgress.RunAsync(progress => new HubDownload(client, progress) { Connections = connections }
            .RunAsync(files, folder, bytes => OutputSpace.Check(folder, bytes, "what is missing"), cancellation)).ConfigureAwait(false);
        if (LongJob.Current is { } job)
        {
            job.Output = folder;
        }

        Summary.Line("done", $"see that all is there: nablagen doctor --model {LongJob.Quoted(Path.GetRelativePath(Environment.CurrentDirectory, folder))}");
        return ExitCode.Done;
    }

    private static void List()
    {
        foreach (var model in ModelFamilies.All.SelectMany(family => family.Downloads))
        {
            Wrapped.Write($"{model.Name,-20}", $"{model.About} ({model.Licence}): {string.Join(", ", model.Sources.Select(source => source.Repository))}");
        }
    }

    private static IEnumerable<HubFile> Chosen(HubRepository repository, DownloadSource source, string[] patterns)
    {
        var byPath = repository.Files.GroupBy(file => file.Path, StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.ToList(), StringComparer.Ordinal);
        if (source.Files.Count > 0)
        {
            return source.Files.SelectMany(pair => byPath.TryGetValue(pair.Key, out var found)
                ? found.Select(file => file with { Local = pair.Value })
                : throw new NablaGenException($"{repository.Name}: has no file {pair.Key} at {repository.Commit}: it was renamed perhaps; name the files with --include."));
        }

        if (patterns.Length > 0)
        {
            var matching = repository.Files.Where(file => patterns.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, file.Path, ignoreCase: false))).ToList();
            return matching.Count > 0 ? matching : throw new NablaGenException($"{repository.Name}: has no file like {string.Join(" or ", patterns)}{Some(repository.Files)}.");
        }

        if (ModelFamilies.All.Select(family => family.NeededFiles([.. byPath.Keys])).FirstOrDefault(needed => needed is not null) is { } needed)
        {
            return needed.SelectMany(path => byPath[path]);
        }

        // No model's folder: a LoRA, or a choice of files for ComfyUI.
        var weights = repository.Files.Where(file => TensorSources.IsTensorFile(file.Path)).ToList();
        return weights.Count switch
        {
            1 => weights,
            0 => throw new NablaGenException($"{repository.Name}: has no weights and no model in a layout that is known{Some(repository.Files)}."),
            _ => throw new NablaGenException($"{repository.Name}: has {weights.Count} files of weights: choose with --include{Some(weights)}."),
        };
    }

    private static string Some(IReadOnlyList<HubFile> files) => files.Count == 0
        ? " (it is empty)"
        : $" (it has {string.Join(", ", files.Take(MostListed).Select(file => file.Path))}{Line.More(Math.Max(0, files.Count - MostListed))})";
}
