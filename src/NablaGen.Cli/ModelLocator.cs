using NablaGen.Models;
using NablaGen.Models.Wan;

namespace NablaGen.Cli;

/// <summary>Finds the model: <c>--model</c>, the variable NABLAGEN_MODEL, or the one in the box.</summary>
internal static class ModelLocator
{
    private const string Variable = "NABLAGEN_MODEL";

    /// <summary>Opens the model, and says in a line which files were chosen that nobody named.</summary>
    /// <param name="named">What the command line names.</param>
    /// <param name="pieces">Files in place of the model's own.</param>
    /// <param name="said">The choices that were said already, to which these are added; null for none.</param>
    public static VideoModel Open(string? named, ModelPieces? pieces = null, HashSet<string>? said = null)
    {
        var model = VideoModel.Open(Find(named) ?? throw new NablaGenException(
            $"no model: name a folder or a transformer's file with --model or in {Variable}; docs/models.md says where Wan2.1's weights come from and how the folder looks"), pieces);
        string[] choices = [.. model.Choices.Where(choice => said?.Add(choice) != false)];
        if (choices.Length > 0)
        {
            CommandRunner.Warn($"note: with {Path.GetFileName(model.Path)}: {string.Join("; ", choices)}");
        }

        return model;
    }

    /// <summary>The path of the folder or file, or null where none is named and none is in the box.</summary>
    public static string? Find(string? named)
    {
        if (named is not null)
        {
            return named;
        }

        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } variable)
        {
            return variable;
        }

        return Path.GetDirectoryName(InTheBox(WanVideoModel.ConfigFile));
    }

    /// <summary>A file of the model in the box, or null where it is not there.</summary>
    public static string? InTheBox(string file)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "models", "tiny", file);
            if (File.Exists(path))
            {
                return path;
            }
        }

        return null;
    }
}
