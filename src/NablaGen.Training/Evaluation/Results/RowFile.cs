using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>The rows of an evaluation on disk: JSON lines, only ever appended to. A video's newest line counts. Not for two processes at once.</summary>
public sealed class RowFile : IDisposable
{
    /// <summary>The file's name.</summary>
    public const string FileName = "rows.jsonl";

    private readonly FileStream _file;
    // Looked into while another thread adds.
    private readonly ConcurrentDictionary<(string Attention, string Prompt, long Seed), EvaluationRow> _rows = [];

    private RowFile(FileStream file) => _file = file;

    // An equal video's PSNR is infinite, which JSON can only say in quotes.
    internal static JsonSerializerOptions Json { get; } = new(Recipe.Json)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>Opens a folder's rows, or begins them; the folder is made.</summary>
    /// <exception cref="NablaGenException">The file cannot be read or written, or another process has it.</exception>
    public static RowFile Open(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            Directory.CreateDirectory(folder);
            var rows = new RowFile(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            rows.Read();
            return rows;
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{path}: cannot be opened: {error.Message}", error);
        }
    }

    /// <summary>The row of a video; null where it is not there, or was made or judged in another way.</summary>
    public EvaluationRow? Find(Recipe recipe) => _rows.TryGetValue(Key(recipe), out var row) && row.Is(recipe) ? row : null;

    /// <summary>Adds rows; they are on the disk when this returns.</summary>
    /// <exception cref="NablaGenException">They cannot be written.</exception>
    public void Add(IReadOnlyList<EvaluationRow> rows)
    {
        try
        {
            _file.Write(Encoding.UTF8.GetBytes(string.Concat(rows.Select(row => JsonSerializer.Serialize(row, Json) + "\n"))));
            _file.Flush(flushToDisk: true);
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{_file.Name}: cannot be written: {error.Message}", error);
        }

        foreach (var row in rows)
        {
            _rows[Key(row.Recipe)] = row;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Read()
    {
        using var reader = new StreamReader(_file, Encoding.UTF8, leaveOpen: true);
        string text = reader.ReadToEnd();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            try
            {
                if (JsonSerializer.Deserialize<EvaluationRow>(line, Json) is { } row)
                {
                    _rows[Key(row.Recipe)] = row;
                }
            }
            catch (JsonException)
            {
                // Half a line of a run that was cut off: the video is made again.
            }
        }

        _file.Seek(0, SeekOrigin.End);
        if (text.Length > 0 && text[^1] != '\n')
        {
            _file.WriteByte((byte)'\n');
        }
    }

    private static (string, string, long) Key(Recipe recipe) => (recipe.Attention, recipe.Prompt, recipe.Seed);
}
