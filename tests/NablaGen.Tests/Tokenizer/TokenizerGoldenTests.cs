using System.Text.Json;
using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Tests.Tokenizer;

/// <summary>The goldens' tokenizer folder: texts with the ids that Hugging Face gives them.</summary>
public class TokenizerGoldenTests
{
    private const int MaxLength = 512;

    private static readonly string Folder = Path.Combine(GoldenFolder.Path, "tokenizer");

    // The vocabulary beside mini.json, whatever its name.
    private static readonly string MiniModel = Directory.GetFiles(Folder, "*.model").Single();

    [Fact]
    public void Ids_of_the_mini_vocabulary_are_Hugging_Faces() => AssertIds(UmT5Tokenizer.Load(MiniModel), Read("mini.json"));

    [Fact]
    public void Ids_of_the_real_vocabulary_are_Hugging_Faces()
    {
        string? path = Environment.GetEnvironmentVariable("NABLAGEN_UMT5");
        Assert.SkipWhen(string.IsNullOrEmpty(path), "NABLAGEN_UMT5 does not name umT5's spiece.model.");

        AssertIds(UmT5Tokenizer.Load(path!), Read("umt5-xxl.json"));
    }

    [Fact]
    public void Raw_texts_clean_to_the_text_that_was_encoded()
    {
        // Needs no vocabulary: those of umt5-xxl.json are tried here even where its ids cannot be.
        var rows = Directory.GetFiles(Folder, "*.json").SelectMany(Read).Where(row => row.Raw is not null).ToList();

        Assert.SkipWhen(rows.Count == 0, $"No file in {Folder} has raw texts.");
        Assert.All(rows, row => Assert.Equal(row.Text, PromptCleaner.Clean(row.Raw!)));
    }

    private static List<Row> Read(string file) =>
        JsonSerializer.Deserialize<List<Row>>(File.ReadAllText(Path.Combine(Folder, file)), JsonSerializerOptions.Web)!;

    // Ids in the goldens are cut at 512; texts without "raw" are taken as they stand.
    private static void AssertIds(UmT5Tokenizer tokenizer, List<Row> rows)
    {
        var wrong = new List<string>();
        for (int i = 0; i < rows.Count; i++)
        {
            int[] expected = rows[i].Ids;
            int[] ids = tokenizer.Encode(rows[i].Raw is { } raw ? PromptCleaner.Clean(raw) : rows[i].Text, MaxLength);
            if (!ids.SequenceEqual(expected))
            {
                int at = ids.Zip(expected).TakeWhile(pair => pair.First == pair.Second).Count();
                wrong.Add($"row {i}, id {at}: {string.Join(' ', ids.Skip(at).Take(6))}, expected {string.Join(' ', expected.Skip(at).Take(6))}");
            }
        }

        Assert.NotEmpty(rows);
        Assert.Empty(wrong);
    }

    private sealed record Row(string Text, int[] Ids, string? Raw);
}
