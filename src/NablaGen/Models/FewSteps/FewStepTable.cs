using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Files;

namespace NablaGen.Models.FewSteps;

/// <summary>
/// Recognises checkpoints and LoRAs made for few steps by their names, or by their keys and, among those, their names. What is known is in <c>few-steps.json</c>; a file of that name and
/// form in the user's configuration folder (<see cref="UserConfig"/>) is asked first.
/// </summary>
public sealed class FewStepTable
{
    /// <summary>The file's name.</summary>
    public const string FileName = "few-steps.json";

    /// <summary>The keys of sparse + low-rank attention, which no name need tell.</summary>
    public const string LowRankKeys = "low-rank";

    // A header's title may be a book, and expressions look for one place after another.
    private const int LongestName = 1000;

    private static readonly string[] KnownKeys = [LowRankKeys];

    private static readonly Lazy<FewStepTable> Known = new(ReadKnown);

    private readonly List<(Regex Files, string? Keys, FewStepRecipe Recipe)> _entries = [];

    private FewStepTable()
    {
    }

    /// <summary>The known ones and, before them, the user's own.</summary>
    /// <param name="userFile">The user's file, which need not exist; null for that in the configuration folder.</param>
    /// <exception cref="NablaGenException">The user's file is malformed.</exception>
    public static FewStepTable Load(string? userFile = null)
    {
        var table = new FewStepTable();
        userFile ??= UserConfig.File(FileName);
        if (File.Exists(userFile))
        {
            using var user = JsonFile.Read(userFile);
            // A stranger's expression may not take for ever.
            table.Add(user.RootElement, userFile, RegexOptions.NonBacktracking);
        }

        table._entries.AddRange(Known.Value._entries);
        return table;
    }

    /// <summary>The first entry that fits a name; null where none does.</summary>
    /// <param name="names">Names of files and folders, and titles in files' headers.</param>
    public FewStepRecipe? Find(params IEnumerable<string> names) => FindByKeys(null, names);

    /// <summary>The first entry for checkpoints with certain keys that fits a name; null where none does.</summary>
    /// <param name="keys">Which keys a checkpoint has, such as <see cref="LowRankKeys"/>; null for none that an entry asks for.</param>
    /// <param name="names">Names of files and folders, and titles in files' headers.</param>
    public FewStepRecipe? FindByKeys(string? keys, params IEnumerable<string> names)
    {
        string[] all = [.. names.Select(name => name.Length > LongestName ? name[..LongestName] : name)];
        return _entries.FirstOrDefault(entry => entry.Keys == keys && all.Any(entry.Files.IsMatch)).Recipe;
    }

    private static FewStepTable ReadKnown()
    {
        var table = new FewStepTable();
        using var stream = typeof(FewStepTable).Assembly.GetManifestResourceStream(FileName)!;
        using var known = JsonDocument.Parse(stream);
        table.Add(known.RootElement, FileName, RegexOptions.None);
        return table;
    }

    private void Add(JsonElement json, string path, RegexOptions kind)
    {
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw new NablaGenException($"{path}: expected a list of entries, found {JsonKinds.Name(json.ValueKind)}.");
        }

        foreach (var item in json.EnumerateArray())
        {
            var fields = new JsonFields(item, path);
            var name = fields.String("name") ?? throw fields.Error("name", "a name", "none");
            var files = fields.String("files") ?? throw fields.Error("files", "a regular expression for names", "none");
            var keys = fields.String("keys");
            if (keys is not null && !KnownKeys.Contains(keys))
            {
                throw fields.Error("keys", string.Join(", ", KnownKeys), Line.Key(keys));
            }

            var values = fields.Object("values") ?? throw fields.Error("values", "the fields' values", "none");
            fields.RefuseOthers();
            _entries.Add((Pattern(files, kind, fields), keys, new FewStepRecipe(name, new ModelDefaults(values.TakeAll(), path))));
        }
    }

    private static Regex Pattern(string text, RegexOptions kind, JsonFields fields)
    {
        try
        {
            return new Regex(text, RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | kind);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw fields.Error("files", "a regular expression", Line.Key(text));
        }
    }
}
